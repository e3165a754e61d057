// Telephone numbers as people write them, as E.164: '+', calling code, national number. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tidegate {

// `region` (ISO 3166, in either case) says how a number without a calling code is meant. Digits may be
// grouped with blanks and - . / ( ); "+49 (0) 30 …" loses its zero. An extension ("ext. 12", "x12", "#12") is
// left out. Nothing where it is no number that the region's plan, or for a foreign one E.164, can hold.
// Throws std::invalid_argument for a region that is not known.
std::optional<std::string> e164(std::string_view phone, std::string_view region);

}  // namespace tidegate
