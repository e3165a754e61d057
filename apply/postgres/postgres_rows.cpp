#include "apply/postgres/postgres_rows.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "apply/mapping/back/target_rows.hpp"
#include "apply/meaning.hpp"

namespace tidegate {
namespace {

constexpr int page_rows = 2000;

std::vector<std::string> names_of(const TablePlan& plan) {
  std::vector<std::string> names;
  for (const ColumnPlan& column : plan.columns) names.push_back(column.target);
  return names;
}

std::string list_of(const TablePlan& plan) {
  std::string list;
  for (const ColumnPlan& column : plan.columns)
    list += (list.empty() ? "t." : ", t.") + quoted(column.target);
  return list;
}

Row row_at(const postgres::Result& rows, int i) {
  Row row;
  for (int j = 0; j < rows.columns(); ++j)
    row.push_back(rows.is_null(i, j) ? Value(Null{}) : Value(std::string(rows.text(i, j))));
  return row;
}

}  // namespace

PostgresRows::PostgresRows(TargetSession& legacy, const Quarantine& quarantine, const ReturnedTable& table,
                           TablePlan plan, std::uint32_t id)
    : legacy_(legacy),
      quarantine_(quarantine),
      table_(table),
      plan_(std::move(plan)),
      relation_(
          mapped_relation(id, plan_.source, names_of(plan_), table.plan.anchor_output().made_key.size())),
      key_(key_places(table.source)) {
  for (const std::size_t place : writable_columns(table.source))
    bound_.push_back(bound_type(table.source.columns[place].declared_type));
  find_uniques();
}

// Those without an expression or a condition.
void PostgresRows::find_uniques() {
  auto rows = legacy_.connection().run(
      "SELECT i.indexrelid, a.attname FROM pg_catalog.pg_index AS i CROSS JOIN pg_catalog.unnest(i.indkey) "
      "WITH ORDINALITY AS k(number, place) JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND "
      "a.attnum = k.number WHERE i.indrelid = pg_catalog.to_regclass($1) AND i.indisunique AND NOT "
      "i.indisprimary AND i.indexprs IS NULL AND i.indpred IS NULL AND k.place <= i.indnkeyatts ORDER BY 1, "
      "k.place",
      {quoted_name(plan_)});
  const auto names = names_of(plan_);
  std::string last;
  for (int i = 0; i < rows.rows(); ++i) {
    if (rows.text(i, 0) != last) uniques_.emplace_back();
    last = rows.text(i, 0);
    const auto at = std::find(names.begin(), names.end(), rows.text(i, 1)) - names.begin();
    uniques_.back().push_back(static_cast<std::size_t>(at));
  }
  std::erase_if(uniques_, [&](const Unique& unique) {
    return std::any_of(unique.begin(), unique.end(),
                       [&](std::size_t place) { return place >= names.size(); });
  });
}

// --- what lies there ---

std::string PostgresRows::key_of(const Row& row) const {
  Row key;
  for (const std::size_t place : key_) key.push_back(row[place]);
  return encode(key);
}

void PostgresRows::expect(const std::vector<Row>& keys) {
  TargetRowsByKey query{quoted_name(plan_), {}, {list_of(plan_)}, {}};
  for (const std::size_t place : key_) query.key.push_back(&plan_.columns[place]);
  for (const Row& key : keys) known_.try_emplace(encode(key));
  for (Row& row : rows_by_key(legacy_.connection(), query, keys)) {
    std::string key = key_of(row);
    known_[std::move(key)] = HeldRow{std::move(row)};
  }
}

std::optional<HeldRow> PostgresRows::find(const Row& key) {
  const std::string at = encode(key);
  if (!known_.contains(at)) expect({key});
  return known_.at(at);
}

// As it will be once the batch is written.
Row PostgresRows::whole(const Row& key) {
  if (const auto named = name_of_key_.find(encode(key)); named != name_of_key_.end()) {
    const Outcome& known = outcomes_.at(named->second);
    if (known.put) return known.put->values;
    if (known.removed) return {};
  }
  const auto held = find(key);
  return held ? held->row : Row();
}

void PostgresRows::each(const std::function<void(const Row&)>& give) {
  each_of("", give);
}

void PostgresRows::each_orphan(const std::function<void(const Row&)>& give) {
  auto keys = legacy_.connection().run(
      "SELECT pg_catalog.format('(%s AND NOT EXISTS (SELECT FROM %s AS p WHERE %s))', "
      "pg_catalog.string_agg(pg_catalog.format('t.%I IS NOT NULL', a.attname), ' AND '), "
      "c.confrelid::pg_catalog.regclass, pg_catalog.string_agg(pg_catalog.format('p.%I = t.%I', b.attname, "
      "a.attname), ' AND ')) FROM pg_catalog.pg_constraint AS c CROSS JOIN "
      "unnest(c.conkey, c.confkey) AS k(mine, theirs) JOIN pg_catalog.pg_attribute AS a ON "
      "a.attrelid = c.conrelid AND a.attnum = k.mine JOIN pg_catalog.pg_attribute AS b ON b.attrelid = "
      "c.confrelid AND b.attnum = k.theirs WHERE c.contype = 'f' AND c.conrelid = "
      "pg_catalog.to_regclass($1) GROUP BY c.oid, c.confrelid",
      {quoted_name(plan_)});
  std::string condition;
  for (int i = 0; i < keys.rows(); ++i) condition += (i ? " OR " : " WHERE ") + std::string(keys.text(i, 0));
  if (!condition.empty()) each_of(condition, give);
}

void PostgresRows::each_of(const std::string& condition, const std::function<void(const Row&)>& give) {
  auto& legacy = legacy_.connection();
  std::optional<postgres::Transaction> transaction;
  if (!legacy.in_transaction()) transaction.emplace(legacy);
  legacy.run(fmt::format("DECLARE tidegate_rows NO SCROLL CURSOR FOR SELECT {} FROM {} AS t{}",
                         list_of(plan_), quoted_name(plan_), condition));
  for (int got = page_rows; got == page_rows;) {
    const auto rows = legacy.run(fmt::format("FETCH {} FROM tidegate_rows", page_rows));
    got = rows.rows();
    for (int i = 0; i < got; ++i) give(row_at(rows, i));
  }
  legacy.run("CLOSE tidegate_rows");
}

// --- values ---

// The server turns a text of the target's type into one of the legacy's, or refuses the row. What is another
// spelling of the same, as the target has it, stays.
std::variant<Value, Misfit> PostgresRows::back(std::size_t column, const Value& target, const Value* held) {
  const auto place = writable_columns(table_.source)[column];
  const ReturnSource& from = table_.plan.columns[place];
  const auto* text = std::get_if<std::string>(&target);
  if (!held || !text || from.kind != ReturnSource::Kind::passed) return target;
  const ColumnPlan& forward = table_.plans[from.output].columns[table_.place_in(from.output, from.target)];
  return means(*held, *text, forward) ? *held : target;
}

Value PostgresRows::stored(std::size_t, Value value) {
  return printed_value(std::move(value));
}

Value PostgresRows::word(std::size_t column, const Value& stored) {
  return bound_value(stored, bound_[column]);
}

Value PostgresRows::default_of(std::size_t column) {
  const std::string& name = plan_.columns[column].target;
  const auto& sql = table_.source.column(name)->default_sql;
  if (!sql) return Null{};
  const std::string expression =
      sql->starts_with("GENERATED ")
          ? fmt::format("pg_catalog.nextval(pg_catalog.pg_get_serial_sequence({}, {}))",
                        postgres::literal(quoted_name(plan_)), postgres::literal(name))
          : *sql;
  return row_at(
             legacy_.connection().run("SELECT (" + expression + ")::" + plan_.columns[column].existing_type),
             0)
      .front();
}

// --- what becomes of rows ---

PostgresRows::Outcome& PostgresRows::outcome(const Row& name) {
  Outcome& known = outcomes_[encode(name)];
  known.name = name;
  return known;
}

bool PostgresRows::is_held(const Row& name) const {
  return quarantine_.holds(plan_.source, key_as_json(name));
}

void PostgresRows::remove(const Row& name, const HeldRow& held) {
  outcome(name).removed = held;
  name_of_key_[key_of(held.row)] = encode(name);
}

void PostgresRows::put(ReturnedRow row) {
  name_of_key_[key_of(row.values)] = encode(row.name);
  Outcome& known = outcome(row.name);
  known.misfit.reset();
  known.put = std::move(row);
}

void PostgresRows::reject(const Row& name, const std::string& column, const std::string& reason) {
  Outcome& known = outcome(name);
  known.put.reset();
  known.misfit = reason + ":" + column;
}

void PostgresRows::release(const Row& name) {
  Outcome& known = outcome(name);
  known.misfit.reset();
  known.was_named = true;
}

// --- changes ---

Change PostgresRows::change(Operation operation, const Row& values, const Row& name,
                            std::optional<std::string> misfit) const {
  Change change{operation, relation_.id, values, {}, {}};
  change.row.resize(plan_.columns.size(), Null{});
  change.row.insert(change.row.end(), name.begin(), name.end());
  change.row.push_back(misfit ? Value(std::move(*misfit)) : Value(Null{}));
  return change;
}

void PostgresRows::add_removals(NativeSink& sink) const {
  for (const auto& [at, outcome] : outcomes_) {
    const bool goes = !outcome.put && !outcome.misfit;
    if (goes && (outcome.removed || (outcome.was_named && is_held(outcome.name))))
      sink.add(relation_, change(Operation::remove, outcome.removed ? outcome.removed->row : Row(),
                                 outcome.name, std::nullopt));
  }
}

std::optional<std::string> PostgresRows::unique_key(const Unique& unique, const Row& row) {
  Row values;
  for (const std::size_t place : unique) {
    if (is_null(row[place])) return std::nullopt;
    values.push_back(row[place]);
  }
  return encode(values);
}

// A value that nobody has, in a column of the index that can take one.
std::optional<std::pair<std::size_t, Value>> PostgresRows::parked(const Unique& unique,
                                                                  const Outcome& of) const {
  const auto writable = writable_columns(table_.source);
  for (const std::size_t place : unique)
    if (!table_.source.columns[writable[place]].not_null) return std::pair(place, Value(Null{}));
  for (const std::size_t place : unique) {
    const std::string& type = plan_.columns[place].existing_type;
    if (type == "text" || type == "character varying" || type == "public.citext")
      return std::pair(place, Value("tidegate parked " + key_as_json(of.name)));
  }
  return std::nullopt;
}

bool PostgresRows::park(NativeSink& sink) const {
  bool any = false;
  for (const Unique& unique : uniques_) {
    std::map<std::string, const Outcome*> leaves;  // by the value that is left
    std::set<std::string> taken;
    for (const auto& [at, outcome] : outcomes_) {
      if (!outcome.put) continue;
      const auto before = outcome.put->held ? unique_key(unique, outcome.put->held->row) : std::nullopt;
      const auto after = unique_key(unique, outcome.put->values);
      if (before && before != after) leaves.emplace(*before, &outcome);
      if (after && before != after) taken.insert(*after);
    }
    for (const auto& [value, outcome] : leaves) {
      const auto place = taken.contains(value) ? parked(unique, *outcome) : std::nullopt;
      if (!place) continue;
      Row row = outcome->put->held->row;
      row[place->first] = place->second;
      sink.add(relation_, change(Operation::update, row, outcome->name, std::nullopt));
      any = true;
    }
  }
  return any;
}

void PostgresRows::add_rows(NativeSink& sink) {
  for (auto& [at, outcome] : outcomes_) {
    const bool changes = outcome.put && (!outcome.put->held || !outcome.put->changed.empty());
    if (outcome.misfit || changes || (outcome.put && is_held(outcome.name)))
      sink.add(relation_, change(Operation::insert, outcome.put ? outcome.put->values : Row(), outcome.name,
                                 outcome.misfit));
  }
  outcomes_.clear();
  name_of_key_.clear();
  known_.clear();
}

}  // namespace tidegate
