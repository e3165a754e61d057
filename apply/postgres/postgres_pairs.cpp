#include "apply/postgres/postgres_pairs.hpp"

#include <fmt/format.h>

#include "apply/plan.hpp"

namespace tidegate {
namespace {

// Of a source's table name, which splits at its first dot.
std::string quoted_table(const std::string& table) {
  const auto dot = table.find('.');
  return quoted(table.substr(0, dot)) + "." + quoted(table.substr(dot + 1));
}

// On disk where it grows, and gone with the connection.
sqlite::Database empty_store() {
  return sqlite::Database("", sqlite::Database::Mode::read_write, std::chrono::milliseconds(0));
}

}  // namespace

PostgresPairs::PostgresPairs(TargetSession& legacy) : legacy_(legacy), store_(empty_store()) {
  for (const KeyEntry& entry : pairs_in(legacy.connection(), legacy.pipeline())) store_.take_in(entry);
  legacy_.carry(this);
}

PostgresPairs::~PostgresPairs() {
  legacy_.carry(nullptr);
}

std::vector<std::string> PostgresPairs::keys_of(const std::string& scope, const std::string& answer) {
  std::vector<std::string> keys;
  for (const KeyEntry& entry : store_.with_answer(scope, answer)) keys.push_back(entry.key);
  return keys;
}

std::optional<std::string> PostgresPairs::answer_of(const KeyName& name) {
  auto entry = store_.find(name.scope, name.key);
  if (!entry) return std::nullopt;
  return std::move(entry->answer);
}

void PostgresPairs::keep(const KeyName& name, const std::string& answer, std::optional<std::int64_t>) {
  store_.add({name.scope, name.key, answer, ""});
}

// What the application wrote with numbers of its own, and pairs whose rows are gone.
std::int64_t PostgresPairs::highest(const KeyOwner& owner) {
  auto row = legacy_.connection().run(
      fmt::format("SELECT greatest((SELECT max({0}) FROM {1}), (SELECT max((key::pg_catalog.jsonb ->> "
                  "-1)::bigint) FROM tidegate.keys WHERE pipeline = $1 AND scope = $2 AND "
                  "pg_catalog.jsonb_typeof(key::pg_catalog.jsonb -> -1) = 'number'), 0)",
                  quoted(owner.column), quoted_table(owner.table)),
      {legacy_.pipeline(), owner.scope});
  return row.integer(0, 0);
}

const std::string& PostgresPairs::sequence_of(const KeyOwner& owner) {
  const auto [known, is_new] = sequences_.try_emplace(owner.table);
  if (!is_new) return known->second;
  auto& legacy = legacy_.connection();
  auto row = legacy.run("SELECT pg_catalog.pg_get_serial_sequence($1, $2)",
                        {quoted_table(owner.table), owner.column});
  if (row.is_null(0, 0)) return known->second;
  known->second = row.text(0, 0);
  legacy.run(
      "SELECT pg_catalog.setval(s, $2::bigint) FROM (SELECT $1::pg_catalog.regclass AS s) AS q WHERE "
      "$2::bigint > coalesce(pg_catalog.pg_sequence_last_value(s), 0)",
      {known->second, std::to_string(highest(owner))});
  return known->second;
}

std::int64_t PostgresPairs::next_id(const KeyOwner& owner, std::optional<std::int64_t> last) {
  const std::string& sequence = sequence_of(owner);
  if (!sequence.empty())
    return legacy_.connection()
        .run("SELECT pg_catalog.nextval($1::pg_catalog.regclass)", {sequence})
        .integer(0, 0);
  return (last ? *last : highest(owner)) + 1;
}

bool PostgresPairs::is_taken(const KeyOwner& owner, const std::string& key) {
  return legacy_.connection()
      .run(fmt::format("SELECT EXISTS (SELECT FROM {} WHERE {}::text = $1)", quoted_table(owner.table),
                       quoted(owner.column)),
           {key})
      .boolean(0, 0);
}

std::optional<postgres::Command> PostgresPairs::unsent(const postgres::Command& into) {
  adding_ = store_.in_state(KeyState::added);
  if (adding_.empty()) return std::nullopt;
  return with_entries(into, legacy_.pipeline(), adding_, {});
}

void PostgresPairs::sent() {
  store_.sent(adding_, {});
  adding_.clear();
}

std::vector<KeyEntry> pairs_in(postgres::Connection& legacy, const std::string& pipeline) {
  std::vector<KeyEntry> pairs;
  if (!legacy.run("SELECT pg_catalog.to_regclass('tidegate.keys') IS NOT NULL").boolean(0, 0)) return pairs;
  auto rows = legacy.run(
      "SELECT scope, key, answer FROM tidegate.keys WHERE pipeline = $1 ORDER BY scope, key", {pipeline});
  for (int i = 0; i < rows.rows(); ++i)
    pairs.push_back(
        {std::string(rows.text(i, 0)), std::string(rows.text(i, 1)), std::string(rows.text(i, 2)), ""});
  return pairs;
}

}  // namespace tidegate
