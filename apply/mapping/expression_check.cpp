#include "apply/mapping/expression_check.hpp"

#include <algorithm>
#include <array>

#include "apply/schema/tokens.hpp"

namespace tidegate {
namespace {

bool is_name(const Token& token) {
  return token.kind == Token::Kind::word || token.kind == Token::Kind::quoted_name ||
         token.kind == Token::Kind::double_quoted;
}

std::optional<std::size_t> place_of(const Token& token, const std::vector<std::string>& columns) {
  if (!is_name(token)) return std::nullopt;
  const std::string name = ascii_lower(token.text);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (ascii_lower(columns[i]) == name) return i;
  }
  return std::nullopt;
}

bool is_one_of(const Token& token, const auto& words) {
  return token.kind == Token::Kind::word &&
         std::any_of(words.begin(), words.end(), [&](std::string_view word) { return token.is_word(word); });
}

constexpr std::array<std::string_view, 9> changing = {
    "random",  "randomblob",    "current_timestamp", "current_date",    "current_time",
    "changes", "total_changes", "last_insert_rowid", "sqlite_source_id"};
constexpr std::array<std::string_view, 5> of_time = {"date", "time", "datetime", "julianday", "unixepoch"};

// Of a date function: they read the machine's time zone.
bool is_of_the_machine(const std::vector<Token>& tokens, const Token& token) {
  if (token.kind != Token::Kind::text) return false;
  const std::string modifier = ascii_lower(token.text);
  if (modifier != "localtime" && modifier != "utc") return false;
  return std::any_of(tokens.begin(), tokens.end(),
                     [](const Token& each) { return each.is_word("strftime") || is_one_of(each, of_time); });
}

// date(), and strftime('%s'): without a point in time they speak of now.
bool is_of_the_present(const std::vector<Token>& tokens, std::size_t i) {
  const bool formats = tokens[i].is_word("strftime");
  const std::size_t close = i + (formats ? 3 : 2);
  return (formats || is_one_of(tokens[i], of_time)) && close < tokens.size() &&
         tokens[i + 1].is_symbol("(") && tokens[close].is_symbol(")");
}

}  // namespace

std::optional<std::string> passed_column(std::string_view expression,
                                         const std::vector<std::string>& columns) {
  auto tokens = tokens_of(expression);
  if (!tokens || tokens->size() != 2) return std::nullopt;
  auto place = place_of(tokens->front(), columns);
  if (!place) return std::nullopt;
  return columns[*place];
}

std::vector<std::size_t> columns_read(std::string_view expression, const std::vector<std::string>& columns) {
  std::vector<std::size_t> places;
  for (const Token& token : tokens_of(expression).value_or(std::vector<Token>{})) {
    if (auto place = place_of(token, columns)) places.push_back(*place);
  }
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  return places;
}

std::string not_repeatable(std::string_view expression) {
  const auto tokens = tokens_of(expression).value_or(std::vector<Token>{});
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const Token& token = tokens[i];
    if (is_one_of(token, changing)) return token.text;
    if (token.kind == Token::Kind::text && ascii_lower(token.text) == "now") return "'now'";
    if (is_of_the_machine(tokens, token)) return "'" + token.text + "' (the machine's time zone)";
    if (is_of_the_present(tokens, i)) return token.text + "() of the present";
  }
  return "";
}

bool same_expression(std::string_view a, std::string_view b) {
  const auto first = tokens_of(a), second = tokens_of(b);
  return first && second &&
         std::equal(first->begin(), first->end(), second->begin(), second->end(),
                    [](const Token& x, const Token& y) { return x.kind == y.kind && x.text == y.text; });
}

std::optional<std::string> constant(std::string_view expression) {
  const auto tokens = tokens_of(expression);
  if (!tokens || tokens->size() != 2) return std::nullopt;
  const Token& only = tokens->front();
  if (only.kind != Token::Kind::text && only.kind != Token::Kind::number) return std::nullopt;
  return only.text;
}

bool is_balanced(std::string_view expression) {
  const auto tokens = tokens_of(expression);
  if (!tokens || tokens->size() < 2) return false;
  int depth = 0;
  for (const Token& token : *tokens) {
    if (token.is_symbol("(")) ++depth;
    if (token.is_symbol(")") && --depth < 0) return false;
    if (token.is_symbol(";") || (depth == 0 && token.is_symbol(","))) return false;
  }
  return depth == 0;
}

}  // namespace tidegate
