#include "apply/mapping/functions/array_text.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <stdexcept>

#include "apply/text_format.hpp"
#include "proto/json_text.hpp"
#include "proto/text.hpp"

namespace tidegate {
namespace {

constexpr std::string_view blanks = " \t\n\r";
constexpr int most_dimensions = 6;  // of a Postgres array

// Reads JSON that is known to be valid, so that it only looks for where things end.
class ArrayWriter {
 public:
  explicit ArrayWriter(std::string_view json) : text_(json) {}

  std::string write() {
    skip_blanks();
    array(1);
    return std::move(out_);
  }

 private:
  void skip_blanks() { at_ = std::min(text_.find_first_not_of(blanks, at_), text_.size()); }

  void array(int depth) {
    if (depth > most_dimensions) throw std::invalid_argument("json_to_array: more than six dimensions");
    out_ += '{';
    for (++at_, skip_blanks(); text_[at_] != ']'; skip_blanks()) {
      if (text_[at_] == ',') {
        out_ += ',';
        ++at_;
        skip_blanks();
      }
      element(depth);
    }
    ++at_;
    out_ += '}';
  }

  void element(int depth) {
    if (text_[at_] == '[') return array(depth + 1);
    const std::string_view token = text_[at_] == '{' ? object() : text_[at_] == '"' ? string() : scalar();
    if (token == "null")
      append_array_null(out_);
    else if (token.front() == '"')
      append_array_element(text_of(token), out_);
    else if (token.front() == '{')
      append_array_element(token, out_);
    else
      out_ += token;
  }

  static std::string text_of(std::string_view token) {
    const auto text = boost::json::parse({token.data(), token.size()}).as_string();
    if (text.find('\0') != text.npos) throw std::invalid_argument("json_to_array: a text with NUL");
    return std::string(text);
  }

  std::string_view string() {
    const std::size_t start = at_++;
    while (text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    return text_.substr(start, ++at_ - start);
  }

  std::string_view object() {
    const std::size_t start = at_;
    int open = 0;
    do {
      if (text_[at_] == '"') {
        string();
        continue;
      }
      open += text_[at_] == '{' ? 1 : text_[at_] == '}' ? -1 : 0;
      ++at_;
    } while (open > 0);
    return text_.substr(start, at_ - start);
  }

  std::string_view scalar() {
    const std::size_t start = at_;
    at_ = std::min(text_.find_first_of(" \t\n\r,]", at_), text_.size());
    return text_.substr(start, at_ - start);
  }

  std::string_view text_;
  std::string out_;
  std::size_t at_ = 0;
};

class JsonWriter {
 public:
  JsonWriter(std::string_view literal, ElementKind kind) : text_(literal), kind_(kind) {}

  std::string write() {
    skip_bounds();
    array(1);
    if (at_ != text_.size()) fail();
    return std::move(out_);
  }

 private:
  [[noreturn]] static void fail() { throw std::invalid_argument("array_to_json: not an array literal"); }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  // "[2:4]={…}": an array whose first place is not 1.
  void skip_bounds() {
    if (peek() != '[') return;
    at_ = text_.find('=');
    if (at_++ == text_.npos) fail();
  }

  void array(int depth) {
    if (peek() != '{' || depth > most_dimensions) fail();
    ++at_;
    out_ += '[';
    if (peek() != '}') element(depth);
    while (peek() == ',') {
      ++at_;
      out_ += ',';
      element(depth);
    }
    if (peek() != '}') fail();
    ++at_;
    out_ += ']';
  }

  void element(int depth) {
    if (peek() == '{') return array(depth + 1);
    const bool quoted = peek() == '"';
    const std::string text = quoted ? quoted_text() : bare_text();
    out_ += !quoted && text == "NULL" ? "null" : json_of(text);
  }

  std::string quoted_text() {
    std::string text;
    for (++at_; peek() != '"'; ++at_) {
      if (peek() == '\\') ++at_;
      if (at_ >= text_.size()) fail();
      text += text_[at_];
    }
    ++at_;
    return text;
  }

  std::string bare_text() {
    const std::size_t end = std::min(text_.find_first_of(",}{\"\\", at_), text_.size());
    std::string text(text_.substr(at_, end - at_));
    if (text.empty()) fail();
    at_ = end;
    return text;
  }

  std::string json_of(const std::string& text) const {
    if (kind_ == ElementKind::text) return boost::json::serialize(boost::json::string(text));
    if (kind_ == ElementKind::number && is_json(text) && parse_decimal(text)) return text;
    if (kind_ == ElementKind::boolean && (text == "t" || text == "true")) return "true";
    if (kind_ == ElementKind::boolean && (text == "f" || text == "false")) return "false";
    throw std::invalid_argument("array_to_json: an element is not of the kind that was asked for");
  }

  std::string_view text_;
  ElementKind kind_;
  std::string out_;
  std::size_t at_ = 0;
};

}  // namespace

std::string json_to_array(std::string_view json) {
  const std::size_t first = json.find_first_not_of(blanks);
  if (first == json.npos || json[first] != '[' || !is_json(json))
    throw std::invalid_argument("json_to_array: not a JSON array");
  return ArrayWriter(json).write();
}

std::string array_to_json(std::string_view literal, ElementKind kind) {
  return JsonWriter(literal, kind).write();
}

}  // namespace tidegate
