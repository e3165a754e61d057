#include "capture/sqlite/schema_delta.hpp"

namespace tidegate {
namespace {

bool same_shape(const SourceColumn& a, const SourceColumn& b) {
  return a.name == b.name && a.declared_type == b.declared_type && a.generated_sql == b.generated_sql;
}

SchemaDelta incompatible(std::string reason) {
  return {SchemaDelta::Kind::incompatible, std::move(reason)};
}

}  // namespace

SchemaDelta compare_schema(const SourceTable& before, const SourceTable& now) {
  if (before.primary_key != now.primary_key || before.identity != now.identity ||
      before.integer_key != now.integer_key) {
    return incompatible("its primary key changed");
  }
  if (now.columns.size() < before.columns.size()) return incompatible("a column was dropped");
  for (std::size_t i = 0; i < before.columns.size(); ++i) {
    if (!same_shape(before.columns[i], now.columns[i])) {
      return incompatible("column " + before.columns[i].name +
                          " was renamed, moved, dropped or got another type");
    }
  }
  if (now.columns.size() > before.columns.size()) return {SchemaDelta::Kind::extended, ""};
  SourceTable without_layout = now;
  without_layout.create_sql = before.create_sql;
  without_layout.last_sequence = before.last_sequence;
  return {without_layout == before ? SchemaDelta::Kind::none : SchemaDelta::Kind::facts, ""};
}

}  // namespace tidegate
