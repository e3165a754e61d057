#include "replicator/schema/column_type.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <vector>

namespace tidegate::schema {
namespace {

using native::Token;

bool ends_type(const Token& token) {
  constexpr std::array words{"default", "not",    "null",  "generated",  "constraint",
                             "primary", "unique", "check", "references", "collate"};
  return std::any_of(words.begin(), words.end(), [&](const char* word) { return token.is_word(word); });
}

// A type with its numbers: numeric(10,2).
struct Type {
  std::string name;
  std::vector<int> numbers;
};

std::string usual_name(const std::string& name) {
  static const std::map<std::string, std::string> usual = {{"int", "integer"},
                                                           {"int4", "integer"},
                                                           {"int8", "bigint"},
                                                           {"int2", "smallint"},
                                                           {"float4", "real"},
                                                           {"float8", "double precision"},
                                                           {"decimal", "numeric"},
                                                           {"bool", "boolean"},
                                                           {"character varying", "varchar"},
                                                           {"character", "char"},
                                                           {"timestamp with time zone", "timestamptz"},
                                                           {"timestamp without time zone", "timestamp"},
                                                           {"time without time zone", "time"}};
  const auto found = usual.find(name);
  return found == usual.end() ? name : found->second;
}

// Nothing for an array, and for what else is no name with numbers.
std::optional<Type> type_in(std::string_view text) {
  Type type;
  for (const Token& token : native::tokens_of(text)) {
    if (token.kind == Token::Kind::name && !token.quoted && type.numbers.empty()) {
      type.name += (type.name.empty() ? "" : " ") + token.text;
    } else if (token.kind == Token::Kind::number) {
      int number = 0;
      std::from_chars(token.text.data(), token.text.data() + token.text.size(), number);
      type.numbers.push_back(number);
    } else if (!token.is("(") && !token.is(")") && !token.is(",")) {
      return std::nullopt;
    }
  }
  type.name = usual_name(type.name);
  return type;
}

int number(const Type& type, std::size_t place) {
  return place < type.numbers.size() ? type.numbers[place] : 0;
}

bool numeric_widens(const Type& from, const Type& to) {
  if (to.numbers.empty()) return true;
  if (from.numbers.empty()) return false;
  return number(to, 1) >= number(from, 1) &&
         number(to, 0) - number(to, 1) >= number(from, 0) - number(from, 1);
}

// Kinds of numbers of which each takes all before it.
int rank(const std::string& name) {
  constexpr std::array whole{"smallint", "integer", "bigint", "numeric"};
  return static_cast<int>(std::find(whole.begin(), whole.end(), name) - whole.begin());
}

}  // namespace

ColumnText column_in(const Member& column) {
  const auto& tokens = column.tokens;
  std::size_t end = 1;
  int depth = 0;
  while (end < tokens.size() && !(depth == 0 && ends_type(tokens[end]))) {
    depth += tokens[end].is("(") - tokens[end].is(")");
    ++end;
  }
  if (end < 2) return {"", plain_text(column.text)};
  const std::size_t first = tokens[1].begin, last = tokens[end - 1].end;
  std::string rest = column.text;
  rest.erase(first, last - first);
  return {column.text.substr(first, last - first), plain_text(rest)};
}

bool same_type(std::string_view a, std::string_view b) {
  if (plain_text(a) == plain_text(b)) return true;
  const auto first = type_in(a), second = type_in(b);
  return first && second && first->name == second->name && first->numbers == second->numbers;
}

bool widens(std::string_view from_text, std::string_view to_text) {
  const auto from = type_in(from_text), to = type_in(to_text);
  if (!from || !to) return false;
  if (from->name == "varchar" && to->name == "text") return true;
  if (from->name == "varchar" && to->name == "varchar")
    return to->numbers.empty() || (!from->numbers.empty() && number(*from, 0) <= number(*to, 0));
  if (from->name == "numeric" && to->name == "numeric") return numeric_widens(*from, *to);
  if (from->name == "real" && to->name == "double precision") return true;
  const int kinds = rank(""), before = rank(from->name), after = rank(to->name);
  return before < after && after < kinds && from->name != "numeric" && to->numbers.empty();
}

}  // namespace tidegate::schema
