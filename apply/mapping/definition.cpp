#include "apply/mapping/definition.hpp"

#include <boost/json.hpp>

namespace tidegate {
namespace {

namespace json = boost::json;

json::value text_or_null(const std::optional<PlacedText>& placed) {
  if (!placed) return nullptr;
  return json::string(placed->text);
}

json::object to_object(const MapTarget& target) {
  json::array columns, types;
  for (const auto& column : target.columns) columns.push_back({column.target, column.expression.text});
  for (const auto& type : target.types) types.push_back({type.column, type.type.text});
  return {{"schema", target.schema},
          {"table", target.table},
          {"columns", columns},
          {"types", types},
          {"key", json::value_from(target.key)},
          {"where", text_or_null(target.condition)},
          {"contributor", target.contributor},
          {"rows", text_or_null(target.rows)}};
}

}  // namespace

bool needs_credentials_secret(const std::vector<MapDefinition>& maps) {
  for (const auto& map : maps)
    for (const auto& target : map.to)
      for (const auto& column : target.columns)
        if (column.expression.text.find("temporary_password") != std::string::npos) return true;
  return false;
}

std::string text_of(const std::vector<MapDefinition>& maps) {
  json::array all;
  for (const auto& map : maps) {
    json::array to;
    for (const auto& target : map.to) to.push_back(to_object(target));
    all.push_back({{"from", map.from}, {"where", text_or_null(map.condition)}, {"to", to}});
  }
  return json::serialize(all);
}

}  // namespace tidegate
