#include "proto/json_text.hpp"

#include <bitset>
#include <cstddef>

#include "proto/text.hpp"

namespace tidegate {
namespace {

constexpr std::size_t kDeepest = 1000;
constexpr std::size_t kLargestJsonb = (1U << 28) - 1;  // a jsonb entry's length has 28 bits
constexpr unsigned kMostIntegralDigits = 131072;       // of Postgres' numeric
constexpr unsigned kMostFractionDigits = 16383;

enum class Dialect { json, jsonb };

// A walk over the text without recursion: the open brackets are kept as bits (true: object).
class Reader {
 public:
  Reader(std::string_view text, Dialect dialect) : text_(text), dialect_(dialect) {}

  bool whole_text_is_one_value() {
    do {
      if (!value_or_opening()) return false;
      if (!closings_and_comma()) return false;
    } while (depth_ > 0);
    skip_blanks();
    return at_ == text_.size();
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) { return peek() == c && at_ < text_.size() ? (++at_, true) : false; }

  void skip_blanks() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
  }

  // Goes down through opening brackets to a scalar or to an empty array or object.
  bool value_or_opening() {
    while (true) {
      skip_blanks();
      const bool object = peek() == '{';
      if (!object && peek() != '[') return scalar();
      if (depth_ == kDeepest) return false;
      ++at_;
      is_object_[depth_++] = object;
      skip_blanks();
      if (peek() == (object ? '}' : ']')) return true;
      if (object && !key()) return false;
    }
  }

  // After a value: closes what closes here; true with depth 0 at the end, or after a comma and, in an object,
  // a key.
  bool closings_and_comma() {
    while (depth_ > 0) {
      skip_blanks();
      const bool object = is_object_[depth_ - 1];
      if (take(object ? '}' : ']')) {
        --depth_;
        continue;
      }
      if (!take(',')) return false;
      skip_blanks();
      return !object || key();
    }
    return true;
  }

  bool key() {
    if (!string()) return false;
    skip_blanks();
    return take(':');
  }

  bool scalar() {
    switch (peek()) {
      case '"':
        return string();
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return number();
    }
  }

  bool word(std::string_view expected) {
    if (text_.substr(at_, expected.size()) != expected) return false;
    at_ += expected.size();
    return true;
  }

  bool digits() {
    const std::size_t start = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ > start;
  }

  bool number() {
    const std::size_t start = at_;
    take('-');
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      if (!digits()) return false;
    }
    return dialect_ == Dialect::json || numeric_holds(text_.substr(start, at_ - start));
  }

  static bool numeric_holds(std::string_view number) {
    if (number.size() < 16 && number.find_first_of("eE") == number.npos) return true;
    const auto decimal = parse_decimal(number);
    return decimal && decimal->integral_digits <= kMostIntegralDigits &&
           decimal->fraction_digits <= kMostFractionDigits;
  }

  bool string() {
    if (!take('"')) return false;
    while (at_ < text_.size()) {
      const unsigned char c = static_cast<unsigned char>(text_[at_++]);
      if (c == '"') return true;
      if (c < 0x20) return false;
      if (c == '\\' && !escape()) return false;
    }
    return false;
  }

  bool escape() {
    const char c = peek();
    ++at_;
    if (c != 'u') return c != '\0' && std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
    const int unit = hex4();
    if (unit < 0) return false;
    return dialect_ == Dialect::json || (unit != 0 && pairs_up(unit));
  }

  // A high half must be followed by \u and a low half; a low half alone is refused.
  bool pairs_up(int unit) {
    if (unit < 0xD800 || unit > 0xDFFF) return true;
    if (unit > 0xDBFF || !take('\\') || !take('u')) return false;
    const int low = hex4();
    return low >= 0xDC00 && low <= 0xDFFF;
  }

  int hex4() {
    int unit = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = peek();
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return -1;
      unit = unit * 16 + digit;
    }
    return unit;
  }

  std::string_view text_;
  Dialect dialect_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  std::bitset<kDeepest> is_object_;
};

// Most texts that are not JSON show it in the first character.
bool may_begin_json(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\n\r");
  return first != text.npos &&
         std::string_view("{[\"-0123456789tfn").find(text[first]) != std::string_view::npos;
}

}  // namespace

bool is_json(std::string_view text) {
  return may_begin_json(text) && Reader(text, Dialect::json).whole_text_is_one_value() && is_valid_utf8(text);
}

bool is_jsonb(std::string_view text) {
  return text.size() <= kLargestJsonb && may_begin_json(text) &&
         Reader(text, Dialect::jsonb).whole_text_is_one_value() && is_valid_utf8(text);
}

}  // namespace tidegate
