// UUIDs that are the same for the same name, so that no look-up is needed. Pure.
#pragma once

#include <string>
#include <string_view>

#include "proto/value.hpp"

namespace tidegate {

class UuidMaker {
 public:
  // The namespace is made from the pipeline's name: another pipeline gives other UUIDs.
  explicit UuidMaker(std::string_view pipeline);

  // UUIDv5 of ["entity", key…] as key_as_json() writes it: 1, '1' and 1.0 are different keys.
  std::string make(const Row& entity_and_key) const;

 private:
  std::string namespace_;  // 16 bytes
};

}  // namespace tidegate
