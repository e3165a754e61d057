#include "apply/mapping/uuid.hpp"

#include <algorithm>
#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/string_generator.hpp>
#include <boost/uuid/uuid_io.hpp>

#include "proto/change.hpp"

namespace tidegate {
namespace {

using boost::uuids::uuid;

// Ours alone, made once at random.
constexpr const char* all_pipelines = "3f0f2f1e-6a0b-4c8e-9a57-0d6c1b8a4e52";

}  // namespace

UuidMaker::UuidMaker(std::string_view pipeline) {
  const uuid root = boost::uuids::string_generator()(all_pipelines);
  const uuid made = boost::uuids::name_generator_sha1(root)(pipeline.data(), pipeline.size());
  namespace_.assign(made.begin(), made.end());
}

std::string UuidMaker::make(const Row& entity_and_key) const {
  uuid space;
  std::copy(namespace_.begin(), namespace_.end(), space.begin());
  const std::string name = key_as_json(entity_and_key);
  return boost::uuids::to_string(boost::uuids::name_generator_sha1(space)(name.data(), name.size()));
}

}  // namespace tidegate
