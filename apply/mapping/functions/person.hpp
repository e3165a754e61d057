// Names and addresses of people. Pure.
#pragma once

#include <string>
#include <string_view>

#include "proto/value.hpp"

namespace tidegate {

struct PersonName {
  std::string first, last;
};

// "Maria Anna van der Berg" is "Maria Anna" and "van der Berg"; "Berg, Maria" is "Maria" and "Berg"; one word
// is a first name. Blanks around and between words become one. Where the family name is said first without a
// comma, this guesses wrong: nothing in the text shows it.
PersonName split_name(std::string_view full);

// An address under `domain` for a user without one, the same for the same key, and another for another key of
// the same entity: no-email-57@domain. Keys that an address cannot show in lower case appear as a digest.
// Throws std::invalid_argument where `domain` is no domain name.
std::string missing_email(const Value& key, std::string_view domain);

}  // namespace tidegate
