// Not compiled: tidy.py asks clang-tidy about it first, which must object.
#include <string>

std::string moved_twice(std::string text) {
  std::string first = std::move(text);
  return first + text;
}
