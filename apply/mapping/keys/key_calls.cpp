#include "apply/mapping/keys/key_calls.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "apply/mapping/expression_check.hpp"
#include "apply/plan.hpp"
#include "apply/schema/expression.hpp"
#include "apply/schema/tokens.hpp"
#include "proto/change.hpp"

namespace tidegate {
namespace {

bool has_word(std::string_view expression, std::string_view word) {
  const auto tokens = tokens_of(expression);
  return tokens &&
         std::any_of(tokens->begin(), tokens->end(), [&](const Token& token) { return token.is_word(word); });
}

const MapColumn* column_named(const MapTarget& target, const std::string& name) {
  auto found = std::find_if(target.columns.begin(), target.columns.end(),
                            [&](const MapColumn& column) { return column.target == name; });
  return found == target.columns.end() ? nullptr : &*found;
}

std::optional<KeyCall> call_of_key(const MapTarget& target) {
  const MapColumn* column = target.key.size() == 1 ? column_named(target, target.key.front()) : nullptr;
  return column ? key_call(column->expression.text) : std::nullopt;
}

// The remembered keys of a call begin so: `["teacher",`.
std::string beginning_of(const KeyCall& call) {
  Row words(call.words.begin(), call.words.end());
  std::string json = key_as_json(words);
  json.back() = ',';
  if (words.empty()) json.pop_back();
  return json;
}

std::string rows_of(const MapTarget& target, const KeyCall& call, const std::string& pipeline) {
  return fmt::format(
      "{}::text IN (SELECT k.answer FROM tidegate.keys AS k WHERE k.pipeline = {} AND k.scope = {} AND "
      "starts_with(k.key, {}))",
      tidegate::quoted(target.key.front()), quoted_literal(pipeline),
      quoted_literal(call.function + ":" + call.entity), quoted_literal(beginning_of(call)));
}

// No other of these takes keys of that entity.
bool is_alone(const KeyCall& call, const std::vector<MapTarget*>& targets) {
  return std::count_if(targets.begin(), targets.end(), [&](const MapTarget* target) {
           const auto other = call_of_key(*target);
           return !other || (other->function == call.function && other->entity == call.entity);
         }) == 1;
}

using Owners = std::map<std::string, std::vector<MapTarget*>>;

Owners owners_of(std::vector<MapDefinition>& maps) {
  Owners owners;
  for (auto& map : maps) {
    for (auto& target : map.to) {
      if (!target.contributor) owners[target.schema + "." + target.table].push_back(&target);
    }
  }
  return owners;
}

}  // namespace

std::optional<KeyCall> key_call(std::string_view expression) {
  const auto tokens = tokens_of(expression).value_or(std::vector<Token>{});
  if (tokens.size() < 5 || !tokens[1].is_symbol("(") || tokens[2].kind != Token::Kind::text)
    return std::nullopt;
  const bool surrogate = tokens[0].is_word("surrogate");
  if (!surrogate && !tokens[0].is_word("uuid")) return std::nullopt;
  KeyCall call{surrogate ? "surrogate" : "uuid", tokens[2].text, {}};
  for (std::size_t i = 3; i + 2 < tokens.size(); i += 2) {
    const bool word =
        tokens[i].is_symbol(",") && tokens[i + 1].kind == Token::Kind::text && tokens[i + 2].is_symbol(",");
    if (!word) break;
    call.words.push_back(tokens[i + 1].text);
  }
  return call;
}

std::optional<ColumnKey> column_key(std::string_view expression, const std::vector<std::string>& columns) {
  const auto call = key_call(expression);
  if (!call) return std::nullopt;
  const auto tokens = *tokens_of(expression);
  const std::size_t last = 4 + 2 * call->words.size();  // of the key: fn ( 'entity' , 'word' , column )
  const bool ends =
      last + 3 == tokens.size() && tokens[last - 1].is_symbol(",") && tokens[last + 1].is_symbol(")");
  const auto column =
      ends ? passed_column(expression.substr(tokens[last].begin, tokens[last].end - tokens[last].begin),
                           columns)
           : std::nullopt;
  if (!column) return std::nullopt;
  return ColumnKey{call->function + ":" + call->entity, call->words, *column};
}

bool asks_unique_value(std::string_view expression) {
  return has_word(expression, "unique_value");
}

bool asks_memory(std::string_view expression) {
  return asks_unique_value(expression) || has_word(expression, "surrogate");
}

std::map<std::string, KeyColumn> surrogate_columns(const std::vector<MapDefinition>& maps) {
  std::map<std::string, KeyColumn> columns;
  for (const auto& map : maps) {
    for (const auto& target : map.to) {
      for (const auto& name : target.key) {
        const MapColumn* column = column_named(target, name);
        const auto call = column ? key_call(column->expression.text) : std::nullopt;
        if (call && call->function == "surrogate")
          columns.try_emplace(call->entity, KeyColumn{target.schema, target.table, name});
      }
    }
  }
  return columns;
}

void tell_owners_apart(std::vector<MapDefinition>& maps, const std::string& pipeline) {
  for (auto& [table, targets] : owners_of(maps)) {
    if (targets.size() < 2) continue;
    for (MapTarget* target : targets) {
      const auto call = call_of_key(*target);
      if (target->rows || !call || (call->words.empty() && !is_alone(*call, targets))) continue;
      target->rows = PlacedText{rows_of(*target, *call, pipeline), target->where};
    }
  }
}

std::set<std::string> remembered_uuids(const std::vector<MapDefinition>& maps) {
  std::set<std::string> entities;
  for (const auto& map : maps) {
    for (const auto& target : map.to) {
      const auto call = call_of_key(target);
      const bool looked_up = target.rows && target.rows->text.find("tidegate.keys") != std::string::npos;
      if (call && call->function == "uuid" && looked_up) entities.insert(call->entity);
    }
  }
  return entities;
}

}  // namespace tidegate
