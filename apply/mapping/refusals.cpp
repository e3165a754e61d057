#include "apply/mapping/refusals.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

namespace tidegate {

std::string place_within(const std::string& where, int offset) {
  const auto colon = where.rfind(':');
  int column = 0;
  const char* begin = where.data() + colon + 1;
  if (offset < 0 || colon == std::string::npos ||
      std::from_chars(begin, where.data() + where.size(), column).ec != std::errc())
    return where;
  return fmt::format("{}:{}", where.substr(0, colon), column + 1 + offset);
}

Refused not_an_expression(const PlacedText& text, const std::string& what) {
  return Refused("map-expression", fmt::format("{}: this is not {} of SQL", text.where, what),
                 "write one expression, with its brackets and quotes closed");
}

Refused not_repeatable_expression(const PlacedText& text, const std::string& what) {
  return Refused(
      "map-not-repeatable",
      fmt::format("{}: {} gives another value each time, and a replay after a crash must give the same",
                  text.where, what),
      "let the target's default fill the column, or take the value from the row");
}

Refused does_not_compile(const PlacedText& text, int offset, const std::string& complaint,
                         const Relation& source) {
  return Refused("map-expression", fmt::format("{}: {}", place_within(text.where, offset), complaint),
                 fmt::format("table {} has the columns {}", source.table, fmt::join(source.columns, ", ")));
}

Refused reverse_does_not_compile(const PlacedText& text, int offset, const std::string& complaint,
                                 const MapDefinition& map) {
  std::string columns;
  for (const MapTarget& target : map.to)
    for (const MapColumn& column : target.columns)
      columns += (columns.empty() ? "" : ", ") + target.table + "." + column.target;
  return Refused(
      "map-expression", fmt::format("{}: {}", place_within(text.where, offset), complaint),
      "an expression of [map.reverse] reads the columns that the map fills of one table: " + columns);
}

Refused reverse_of_no_column(const MapColumn& reverse, const MapDefinition& map) {
  return Refused("map-expression",
                 fmt::format("{}: table {} has no column {} that could be written", reverse.expression.where,
                             map.from, reverse.target),
                 "the names in [map.reverse] are columns of the source's table");
}

Refused condition_is_refused(const PlacedText& text, const std::string& name, const MapTarget& target,
                             const std::string& complaint) {
  return Refused("map-condition",
                 fmt::format("{}: {} is no condition on a row of {}.{}: {}", text.where, name, target.schema,
                             target.table, complaint),
                 "write one condition of Postgres SQL over the columns of that table");
}

Refused key_is_not_mapped(const MapTarget& target, const std::string& column) {
  return Refused("map-key",
                 fmt::format("{}: the key column {} of {}.{} is not among its columns", target.where, column,
                             target.schema, target.table),
                 "map it, or name the target's key with key = [\"…\"]");
}

Refused key_reads_more(const std::string& where, const MapDefinition& map) {
  return Refused(
      "map-key",
      fmt::format("{}: the target's key reads columns that are no part of {}'s key, and changes do not say "
                  "what they were before",
                  where, map.from),
      "make the key of the source's key, with uuid() or surrogate()");
}

Refused key_may_be_shared(const MapTarget& target, const MapDefinition& map) {
  return Refused(
      "map-key",
      fmt::format("{}: two rows of {} could get one key of {}.{}, and the one would take the other's place",
                  target.where, map.from, target.schema, target.table),
      "let the key hold the table's own key, passed on or as an argument of uuid() or surrogate(), or "
      "columns "
      "that are UNIQUE and NOT NULL");
}

Refused no_source_key(const MapDefinition& map) {
  return Refused("map-key",
                 fmt::format("{}: changes of {} do not name their rows by a key", map.where, map.from),
                 "give the table a primary key and REPLICA IDENTITY DEFAULT");
}

Refused two_owners(const MapTarget& target, const std::string& first) {
  return Refused(
      "map-two-owners",
      fmt::format("{}: {} is owner of rows of {}.{}, and so is this map", target.where, first, target.schema,
                  target.table),
      "say of each owner which rows are its own, in a condition on the target's columns (rows = \"kind = "
      "'teacher'\"), or make one of them role = \"contributor\"");
}

Refused no_owner(const MapTarget& target) {
  return Refused(
      "map-no-owner",
      fmt::format("{}: no map is owner of rows of {}.{}", target.where, target.schema, target.table),
      "leave role out: the map then inserts and deletes the rows");
}

Refused type_of_no_column(const MapType& type) {
  return Refused("map-type",
                 fmt::format("{}: column {} is not among the columns", type.type.where, type.column),
                 "name a column that `columns` fills");
}

Refused no_such_table(const MapDefinition& map) {
  return Refused("map-no-such-table",
                 fmt::format("{}: the source has no table {} that is replicated", map.where, map.from),
                 "correct `from`, or include the table ([tables] include)");
}

}  // namespace tidegate
