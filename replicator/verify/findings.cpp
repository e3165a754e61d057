#include "replicator/verify/findings.hpp"

#include <string_view>
#include <utility>

namespace tidegate::verify {

void add(Findings& findings, Difference difference) {
  ++findings.differing;
  if (findings.differences.size() < most_named) findings.differences.push_back(std::move(difference));
}

std::string_view name_of(Side side) {
  return side == Side::shadow ? "shadow" : "target";
}

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::missing:
      return "missing";
    case Kind::extra:
      return "extra";
    case Kind::differs:
      break;
  }
  return "differs";
}

}  // namespace tidegate::verify
