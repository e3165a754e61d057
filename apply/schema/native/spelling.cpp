#include "apply/schema/native/spelling.hpp"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <vector>

#include "apply/schema/native/pg_tokens.hpp"

namespace tidegate::native {
namespace {

using Tokens = std::vector<Token>;

// Where the match of `words` from `at` ends; nothing where they do not stand there. "'" stands for a literal.
std::optional<std::size_t> after(const Tokens& tokens, std::size_t at,
                                 std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) {
    if (at >= tokens.size()) return std::nullopt;
    const Token& token = tokens[at++];
    const bool fits = word == "'" ? token.kind == Token::Kind::text : token.is(word) || token.is_word(word);
    if (!fits) return std::nullopt;
  }
  return at;
}

struct List {
  std::size_t name;        // the token of the column
  std::size_t array, end;  // from ARRAY to behind ]
  std::size_t after;       // behind the whole
  std::string_view quantifier;
};

std::optional<std::size_t> after_elements(const Tokens& tokens, std::size_t at) {
  for (;;) {
    const auto element = after(tokens, at, {"'", "::", "character", "varying"});
    if (!element) return std::nullopt;
    if (const auto closed = after(tokens, *element, {"]"})) return closed;
    const auto comma = after(tokens, *element, {","});
    if (!comma) return std::nullopt;
    at = *comma;
  }
}

std::optional<List> list_at(const Tokens& tokens, std::size_t at, const std::set<std::string>& varchars) {
  const bool begins = at + 2 < tokens.size() && tokens[at].is("(") &&
                      tokens[at + 1].kind == Token::Kind::name && varchars.contains(tokens[at + 1].text);
  if (!begins) return std::nullopt;
  auto left = after(tokens, at + 2, {")", "::", "text", "=", "any"});
  if (!left) left = after(tokens, at + 2, {")", "::", "text", "<>", "all"});
  const auto open = left ? after(tokens, *left, {"(", "(", "array", "["}) : std::nullopt;
  const auto end = open ? after_elements(tokens, *open) : std::nullopt;
  const auto closed = end ? after(tokens, *end, {")", "::", "text", "[", "]", ")"}) : std::nullopt;
  if (!closed) return std::nullopt;
  return List{at + 1, *open - 2, *end, *closed, tokens[at + 5].text == "=" ? " = ANY (" : " <> ALL ("};
}

}  // namespace

std::string with_short_lists(std::string_view statement, const std::set<std::string>& varchars) {
  if (varchars.empty()) return std::string(statement);
  const Tokens tokens = tokens_of(statement);
  const auto written = [&](std::size_t from, std::size_t to) {  // tokens [from, to)
    return statement.substr(tokens[from].begin, tokens[to - 1].end - tokens[from].begin);
  };
  std::string result;
  std::size_t done = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto list = list_at(tokens, i, varchars);
    if (!list) continue;
    result += statement.substr(done, tokens[i].begin - done);
    result += written(list->name, list->name + 1);
    result += list->quantifier;
    result += written(list->array, list->end);
    result += ")";
    done = tokens[list->after - 1].end;
    i = list->after - 1;
  }
  result += statement.substr(done);
  return result;
}

}  // namespace tidegate::native
