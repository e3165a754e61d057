// What a text looks like from outside, for measuring columns and for deciding whether a value fits. Pure and
// quick.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tidegate {

struct TextFacts {
  std::size_t characters =
      0;  // code points; in invalid UTF-8 each byte that begins no valid sequence counts as one
  bool has_nul = false;
  bool valid_utf8 = true;  // as Postgres has it: no overlong form, no surrogate, nothing above U+10FFFF
};
TextFacts scan_text(std::string_view text);
bool is_valid_utf8(std::string_view text);

// `text` without NUL bytes and without bytes that are not UTF-8.
std::string without_bad_bytes(std::string_view text);
// The first `count` characters of a valid UTF-8 text.
std::string_view first_characters(std::string_view text, std::size_t count);

// Optional sign, digits with at most one point among them, optional exponent; nothing around it.
struct Decimal {
  // Digits that the number needs when it is written out, without leading and trailing zeros: 1.50 has 1 and
  // 1, 1200 has 4 and 0, 1e-3 has 0 and 3. A number past a million digits says a million.
  unsigned integral_digits = 0, fraction_digits = 0;
  char leading_digit = '0';  // the first that is not zero, '0' for zero
};
std::optional<Decimal> parse_decimal(std::string_view text);

// A number that a decimal column gives back in the same spelling: not 007, +1, .5, 1e3 or -0.
bool is_plain_decimal(std::string_view text);

}  // namespace tidegate
