#include "apply/postgres/refusals.hpp"

#include <fmt/format.h>

#include "apply/schema/planner.hpp"

namespace tidegate {
namespace {

constexpr std::size_t longest_name = 63;  // of an identifier

std::string full_name(const std::string& pipeline) {
  return "tidegate." + quoted(refusal_sequence(pipeline));
}

}  // namespace

std::string refusal_sequence(const std::string& pipeline) {
  return ("refused_" + pipeline).substr(0, longest_name);
}

std::string count_refusals_sql(const std::string& pipeline) {
  return fmt::format("CREATE SEQUENCE IF NOT EXISTS {};\n", full_name(pipeline));
}

std::string refused_so_far_sql(const std::string& pipeline) {
  return fmt::format(
      "coalesce((SELECT pg_catalog.pg_sequence_last_value(s.counted) FROM (SELECT pg_catalog.to_regclass({}) "
      "AS "
      "counted) AS s WHERE pg_catalog.has_sequence_privilege(s.counted, 'USAGE, SELECT')), 0)",
      postgres::literal(full_name(pipeline)));
}

std::optional<std::uint64_t> refusals(postgres::Connection& server, const std::string& pipeline) {
  if (server.run("SELECT pg_catalog.to_regclass($1) IS NULL", {full_name(pipeline)}).boolean(0, 0)) return {};
  const auto counted = server.run(
      "SELECT coalesce(pg_catalog.pg_sequence_last_value(s.counted), 0) - coalesce((SELECT refused_before "
      "FROM "
      "tidegate.live_side WHERE pipeline = $1), 0) FROM (SELECT pg_catalog.to_regclass($2) AS counted) AS s "
      "WHERE pg_catalog.has_sequence_privilege(s.counted, 'USAGE, SELECT')",
      {pipeline, full_name(pipeline)});
  if (counted.rows() == 0 || counted.integer(0, 0) < 0) return {};
  return static_cast<std::uint64_t>(counted.integer(0, 0));
}

void forget_refusals(postgres::Connection& server, const std::string& pipeline) {
  server.run("DROP SEQUENCE IF EXISTS " + full_name(pipeline));
}

}  // namespace tidegate
