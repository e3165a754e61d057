#include "proto/text.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace tidegate {
namespace {

constexpr std::uint64_t kHighBits = 0x8080808080808080U;
constexpr std::uint64_t kLowBits = 0x0101010101010101U;
constexpr long kMostDigits = 1'000'000;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Bytes from `at` that are ASCII and not NUL, in steps of eight.
std::size_t plain_run(std::string_view text, std::size_t at) {
  const std::size_t start = at;
  while (at + 8 <= text.size()) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    if ((word | (word - kLowBits)) & kHighBits) break;
    at += 8;
  }
  return at - start;
}

bool in_range(std::string_view text, std::size_t at, unsigned low, unsigned high) {
  const unsigned byte = at < text.size() ? static_cast<unsigned char>(text[at]) : 0;
  return byte >= low && byte <= high;
}

// Length of the valid sequence at `at`, 0 where there is none. The second byte's range excludes overlong
// forms, surrogates and what is above U+10FFFF.
std::size_t sequence_length(std::string_view text, std::size_t at) {
  const unsigned lead = static_cast<unsigned char>(text[at]);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (!in_range(text, at + 1, low, high)) return 0;
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  for (std::size_t i = 2; i < length; ++i) {
    if (!in_range(text, at + i, 0x80, 0xBF)) return 0;
  }
  return length;
}

// The exponent after 'e', clamped to what can matter; nothing where it is malformed.
std::optional<long> parse_exponent(std::string_view text) {
  const bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  long exponent = 0;
  for (const char c : text) exponent = std::min(exponent * 10 + (c - '0'), 2 * kMostDigits);
  return negative ? -exponent : exponent;
}

// Where the first and the last digit other than zero stand, counted from the point: 0 is the units' place, -1
// the first after the point.
struct Places {
  long first = 0, last = 0;
  char leading = '0';
};

Places places_of(std::string_view digits, std::size_t before_point) {
  Places places;
  long place = static_cast<long>(before_point);
  for (const char c : digits) {
    if (c == '.') continue;
    --place;
    if (c == '0') continue;
    if (places.leading == '0') places.leading = c, places.first = place;
    places.last = place;
  }
  return places;
}

unsigned clamped(long digits) {
  return static_cast<unsigned>(std::clamp(digits, 0L, kMostDigits));
}

}  // namespace

TextFacts scan_text(std::string_view text) {
  TextFacts facts;
  for (std::size_t at = 0; at < text.size();) {
    if (const std::size_t run = plain_run(text, at)) {
      at += run;
      facts.characters += run;
      continue;
    }
    // A word that is not plain: eight bytes singly, then quickly again.
    const std::size_t stop = std::min(at + 8, text.size());
    while (at < stop) {
      const std::size_t length = sequence_length(text, at);
      facts.has_nul |= text[at] == '\0';
      facts.valid_utf8 &= length != 0;
      facts.characters += 1;
      at += std::max<std::size_t>(length, 1);
    }
  }
  return facts;
}

bool is_valid_utf8(std::string_view text) {
  return scan_text(text).valid_utf8;
}

std::string without_bad_bytes(std::string_view text) {
  std::string good;
  good.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = sequence_length(text, at);
    if (text[at] != '\0') good.append(text.substr(at, length));
    at += std::max<std::size_t>(length, 1);
  }
  return good;
}

std::string_view first_characters(std::string_view text, std::size_t count) {
  std::size_t at = 0;
  for (; count > 0 && at < text.size(); --count) at += std::max<std::size_t>(sequence_length(text, at), 1);
  return text.substr(0, at);
}

std::optional<Decimal> parse_decimal(std::string_view text) {
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  const std::size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view digits = text.substr(0, end);
  const std::size_t point = std::min(digits.find('.'), digits.size());
  const bool two_points = point < digits.size() && digits.find('.', point + 1) != digits.npos;
  if (two_points || digits.size() == (point < digits.size() ? 1U : 0U)) return std::nullopt;
  std::optional<long> exponent = 0;
  if (end < text.size()) {
    if (text[end] != 'e' && text[end] != 'E') return std::nullopt;
    exponent = parse_exponent(text.substr(end + 1));
  }
  if (!exponent) return std::nullopt;
  const Places places = places_of(digits, point);
  if (places.leading == '0') return Decimal{};
  return Decimal{clamped(places.first + *exponent + 1), clamped(-(places.last + *exponent)), places.leading};
}

bool is_plain_decimal(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.empty() || text.front() == '.' || text.back() == '.') return false;
  if (text.find_first_not_of("0123456789.") != text.npos || text.find('.') != text.rfind('.')) return false;
  if (negative && text.find_first_of("123456789") == text.npos) return false;
  return text.front() != '0' || text.size() == 1 || text[1] == '.';
}

}  // namespace tidegate
