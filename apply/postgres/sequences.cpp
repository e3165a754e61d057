#include "apply/postgres/sequences.hpp"

#include "apply/plan.hpp"

namespace tidegate {
namespace {

constexpr std::int64_t margin_steps = 1000, renewed_at_steps = 200;

}  // namespace

// A sequence that is near its end is moved as far as it goes.
void lift_sequence(postgres::Connection& target, const std::string& schema, const std::string& name,
                   std::int64_t reached, std::int64_t increment) {
  target.run(
      "SELECT pg_catalog.setval(q.s, q.wanted::bigint) FROM (SELECT seqrelid::pg_catalog.regclass AS s, "
      "CASE WHEN $3::numeric > 0 THEN least(seqmax, $2::numeric + $3::numeric * $4::numeric) "
      "ELSE greatest(seqmin, $2::numeric + $3::numeric * $4::numeric) END AS wanted, "
      "coalesce(pg_catalog.pg_sequence_last_value(seqrelid), seqstart) AS last FROM pg_catalog.pg_sequence "
      "WHERE seqrelid = pg_catalog.to_regclass($1)) AS q "
      "WHERE ($2::numeric + $3::numeric * $5::numeric - q.last) * pg_catalog.sign($3::numeric) > 0",
      {quoted(schema) + "." + quoted(name), std::to_string(reached), std::to_string(increment),
       std::to_string(margin_steps), std::to_string(renewed_at_steps)});
}

void set_sequences_exactly(postgres::Connection& target, const std::vector<SequenceEnd>& ends) {
  std::vector<postgres::Command> commands;
  for (const auto& end : ends)
    commands.push_back(
        {"SELECT pg_catalog.setval(q.s, $2::bigint) FROM (SELECT "
         "pg_catalog.to_regclass($1) AS s) AS q WHERE q.s IS NOT NULL",
         {quoted(end.schema) + "." + quoted(end.name), std::to_string(end.last)}});
  if (!commands.empty()) target.pipeline(commands);
}

}  // namespace tidegate
