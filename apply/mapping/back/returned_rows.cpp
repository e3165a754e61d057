#include "apply/mapping/back/returned_rows.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "apply/mapping/back/target_rows.hpp"
#include "apply/mapping/expression_check.hpp"

namespace tidegate {
namespace {

bool is_text(const Value& value) {
  return std::holds_alternative<std::string>(value);
}

Row texts_of(const Row& key) {
  Row texts;
  for (const Value& value : key) texts.emplace_back(text_of_key(value));
  return texts;
}

}  // namespace

ReturnedRows::ReturnedRows(LegacySide& legacy, ReturnKeys& keys, ReturnedTable table,
                           const MappingOptions& options)
    : keys_(keys),
      table_(std::move(table)),
      rows_(legacy.open(table_)),
      maker_(*rows_, keys, table_, options) {
  index_rows();
}

std::optional<std::size_t> ReturnedRows::output_of(const std::string& target_table) const {
  for (std::size_t i = 0; i < table_.plan.outputs.size(); ++i)
    if (table_.target_of(i).schema + "." + table_.target_of(i).table == target_table) return i;
  return std::nullopt;
}

// A contributor's keys are those of the rows that it contributes to.
void ReturnedRows::index_rows() {
  if (!table_.plan.entity || table_.plan.contributes) return;
  const std::size_t place = table_.relation.key.front(), column = key_places(table_.source).front();
  ForwardLook& forward = maker_.forward();
  rows_->each([&](const Row& row) {
    auto key = forward.key(forward.map(row), table_.plan.anchor);
    const bool outside = !key;
    if (outside) key = forward.key_outside(row);
    if (!key) return;
    keys_.index(*table_.plan.entity, rows_->word(column, row[place]), text_of_key(key->front()), outside);
  });
}

// --- what was touched ---

void ReturnedRows::touch(const Row& name) {
  if (name.empty() || !std::all_of(name.begin(), name.end(), is_text)) return;
  SeenRow seen{name};
  seen.parts.resize(table_.plan.outputs.size());
  touched_.try_emplace(encode(name), std::move(seen));
}

// All that are there; those that the target has no more are found out then.
void ReturnedRows::touch_all() {
  rows_->each([&](const Row& row) {
    if (const auto key = maker_.forward().key(maker_.forward().map(row), table_.plan.anchor))
      touch(texts_of(*key));
  });
}

void ReturnedRows::touch(const Relation& relation, const Change& change) {
  const std::size_t output = *output_of(relation.table);
  const ReturnOutput& about = table_.plan.outputs[output];
  if (change.operation == Operation::truncate) {
    if (output == table_.plan.anchor) touch_all();
    return;
  }
  const bool linked = !about.is_part && !about.link.empty() && change.operation != Operation::remove;
  if (!about.is_part && !linked) return;
  const auto names = linked ? std::vector<std::string>{about.link} : about.made_key;
  for (const Row* row : {&change.row, &change.before}) {
    if (!row->empty()) touch(values_in(relation, *row, names));
  }
}

// --- reading ---

void ReturnedRows::read(postgres::Connection& target) {
  if (touched_.empty()) return;
  if (table_.plan.contributes && blank_.empty()) find_defaults(target);
  for (std::size_t i = 0; i < table_.plan.outputs.size(); ++i) {
    const ReturnOutput& output = table_.plan.outputs[i];
    const bool gives = maker_.reads()[i].size() > output.made_key.size() || i == table_.plan.anchor;
    if (output.is_part && gives) read_part(target, i);
  }
}

// As `column IS NOT DISTINCT FROM its default`, of all columns that a contributor fills.
void ReturnedRows::find_defaults(postgres::Connection& target) {
  const TablePlan& plan = table_.plans[table_.plan.anchor];
  for (const ColumnPlan& column : plan.columns) {
    if (std::find(plan.key.begin(), plan.key.end(), column.target) != plan.key.end()) continue;
    const auto row = target.run(
        "SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attribute AS a LEFT JOIN "
        "pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = "
        "pg_catalog.to_regclass($1) AND a.attname = $2",
        {quoted_name(plan), column.target});
    const bool none = row.rows() == 0 || row.is_null(0, 0);
    blank_ += fmt::format("{}{}::text IS NOT DISTINCT FROM ({})::text", blank_.empty() ? "" : " AND ",
                          quoted(column.target), none ? "NULL" : row.text(0, 0));
  }
  if (blank_.empty()) blank_ = "true";
}

void ReturnedRows::add_claims(std::size_t output, std::vector<std::string>& columns) const {
  if (output != table_.plan.anchor) return;
  const std::string& claim = table_.plan.outputs[output].claim;
  columns.push_back(claim.empty() ? "NULL::boolean" : "(" + claim + ") IS TRUE");
  columns.push_back(blank_.empty() ? "false" : "(" + blank_ + ")");
}

void ReturnedRows::read_part(postgres::Connection& target, std::size_t output) {
  const auto& reads = maker_.reads()[output];
  const auto width = table_.plan.outputs[output].made_key.size();
  const TablePlan& plan = table_.plans[output];
  TargetRowsByKey query{quoted_name(plan), {}, {}, {}};
  for (std::size_t i = 0; i < width; ++i) query.key.push_back(&plan.columns[reads[i]]);
  for (const std::size_t place : reads) query.columns.push_back("t." + quoted(plan.columns[place].target));
  for (const auto& [column, text] : table_.plan.outputs[output].constants)
    query.constants.emplace_back(quoted(column), text);
  add_claims(output, query.columns);
  std::vector<Row> keys;
  for (const auto& [at, seen] : touched_) keys.push_back(seen.name);
  for (Row& found : rows_by_key(target, query, keys)) {
    Row row(plan.columns.size(), Null{}), key;
    for (std::size_t i = 0; i < reads.size(); ++i) row[reads[i]] = std::move(found[i]);
    for (std::size_t i = 0; i < width; ++i) key.push_back(row[reads[i]]);
    const auto seen = touched_.find(encode(key));
    if (seen == touched_.end()) continue;
    seen->second.parts[output] = std::move(row);
    if (output != table_.plan.anchor) continue;
    const auto* claimed = std::get_if<std::string>(&found[reads.size()]);
    if (claimed) seen->second.claimed = *claimed == "t";
    seen->second.is_blank = text_of_key(found.back()) == "t";
  }
}

// --- whose it is ---

// Of a row that is there. Keys that are known come first; what the target says of it has the word where they
// are not, and must not say otherwise where they are.
ReturnedRows::Whose ReturnedRows::whose(const SeenRow& seen) {
  if (table_.plan.contributes) return Whose::mine;  // where its own row is there
  const bool judges_known = !table_.plan.anchor_output().claims_born;
  const bool denied = judges_known && seen.claimed == false;
  const bool taken = judges_known && seen.claimed == true;
  const auto& entity = table_.plan.entity;
  const auto* text = std::get_if<std::string>(&seen.name.front());
  if (entity && text && keys_.is_anothers(*entity, *text))
    return table_.plan.anchor_output().is_shared && !taken ? Whose::anothers : Whose::disputed;
  if (!table_.plan.anchor_output().is_shared) return Whose::mine;
  if (entity && text && keys_.find(*entity, *text)) return denied ? Whose::disputed : Whose::mine;
  return seen.claimed == true ? Whose::mine : Whose::anothers;
}

// The legacy row that it was must be one that the maps make the anchor of: where keys are passed on, another
// table's row may have the same.
bool ReturnedRows::is_gone(const SeenRow& seen) {
  if (!seen.parts[table_.plan.anchor]) return true;
  return table_.plan.anchor_output().is_shared && !table_.plan.entity && whose(seen) == Whose::anothers;
}

bool ReturnedRows::has(const Row& name) {
  const auto seen = touched_.find(encode(name));
  const bool there = seen != touched_.end() && seen->second.parts[table_.plan.anchor].has_value();
  if (there && whose(seen->second) != Whose::anothers) return true;
  const auto key = table_.plan.contributes ? std::nullopt : maker_.legacy_key(name, false);
  return key && !rows_->whole(*key).empty();
}

// --- writing ---

// The key of the legacy row that goes with the target's: one that the maps leave out need not be there.
std::optional<Row> ReturnedRows::removable(const SeenRow& seen) {
  const auto& entity = table_.plan.entity;
  const bool outside = entity && keys_.is_outside(*entity, text_of_key(seen.name.front()));
  return table_.plan.contributes || outside ? std::nullopt : maker_.legacy_key(seen.name, false);
}

void ReturnedRows::remove_gone() {
  std::vector<Row> keys;
  for (const auto& [at, seen] : touched_)
    if (auto key = maker_.legacy_key(seen.name, false)) keys.push_back(std::move(*key));
  rows_->expect(keys);
  remove_surplus();
  for (const auto& [at, seen] : touched_) {
    if (!is_gone(seen)) continue;
    rows_->release(seen.name);
    const auto key = removable(seen);
    const auto held = key ? rows_->find(*key) : std::nullopt;
    if (!held) continue;
    const bool is_its = !table_.plan.anchor_output().is_shared || table_.plan.entity ||
                        maker_.forward().key(maker_.forward().map(rows_->whole(*key)), table_.plan.anchor);
    if (is_its) rows_->remove(seen.name, *held);
  }
}

void ReturnedRows::write() {
  for (const auto& [at, seen] : touched_)
    if (!is_gone(seen)) write(seen);
  for (const Row& name : orphans_) reject(name, Misfit::rejected);
  orphans_.clear();
}

void ReturnedRows::write(const SeenRow& seen) {
  const Whose whose_it_is = whose(seen);
  if (whose_it_is == Whose::disputed) return reject(seen.name, Misfit::other_owner);
  if (whose_it_is == Whose::anothers) return rows_->release(seen.name);
  const auto key = maker_.legacy_key(seen.name, !table_.plan.contributes);
  if (table_.plan.contributes && (!key || !rows_->find(*key)))
    return seen.is_blank ? rows_->release(seen.name) : reject(seen.name, Misfit::not_inserted);
  if (!key) return reject(seen.name, Misfit::wrong_class);
  auto made = maker_.make(seen, *key);
  if (const auto* refusal = std::get_if<RowMaker::Refusal>(&made))
    return rows_->reject(seen.name, refusal->column, refusal->reason);
  rows_->put(std::get<ReturnedRow>(std::move(made)));
}

// --- all rows ---

std::string ReturnedRows::select_all() const {
  const std::size_t anchor = table_.plan.anchor;
  std::vector<std::string> columns;
  for (const std::string& name : table_.plan.outputs[anchor].made_key) columns.push_back("t." + quoted(name));
  const std::string& claim = table_.plan.outputs[anchor].claim;
  columns.push_back(claim.empty() ? "NULL::boolean" : "(" + claim + ") IS TRUE");
  std::string only;
  for (const auto& [column, text] : table_.plan.outputs[anchor].constants)
    only += fmt::format("{}t.{}::text = {}", only.empty() ? " WHERE " : " AND ", quoted(column),
                        postgres::literal(text));
  return fmt::format("SELECT {} FROM {} AS t{}", fmt::join(columns, ", "), quoted_name(table_.plans[anchor]),
                     only);
}

void ReturnedRows::known(const std::vector<Row>& selected, const std::function<void(const Row&)>& give) {
  std::vector<Row> keys;
  for (const Row& row : selected) {
    SeenRow seen{Row(row.begin(), row.end() - 1)};
    if (!std::all_of(seen.name.begin(), seen.name.end(), is_text)) continue;
    if (const auto* claimed = std::get_if<std::string>(&row.back())) seen.claimed = *claimed == "t";
    seen.parts.resize(table_.plan.outputs.size());
    seen.parts[table_.plan.anchor].emplace();
    auto key = is_gone(seen) ? std::nullopt : maker_.legacy_key(seen.name, false);
    if (key) keys.push_back(std::move(*key));
  }
  rows_->expect(keys);
  for (const Row& key : keys)
    if (const Row row = rows_->whole(key); !row.empty()) give(key_of(table_.relation, row));
  rows_->forget();
}

void ReturnedRows::each_mapped(const std::function<void(const Known&)>& give) {
  rows_->each([&](const Row& row) {
    if (const auto key = maker_.forward().key(maker_.forward().map(row), table_.plan.anchor))
      give({key_of(table_.relation, row), texts_of(*key)});
  });
}

void ReturnedRows::each_orphan(const std::function<void(const Row&)>& give) {
  rows_->each_orphan([&](const Row& row) {
    if (const auto key = maker_.forward().key(maker_.forward().map(row), table_.plan.anchor))
      give(texts_of(*key));
  });
}

void ReturnedRows::remove_surplus() {
  std::vector<Row> keys;
  for (const Known& row : surplus_) keys.push_back(row.key);
  rows_->expect(keys);
  for (const Known& row : surplus_)
    if (const auto held = rows_->find(row.key)) rows_->remove(row.name, *held);
  surplus_.clear();
}

// --- what linked outputs call the rows ---

void ReturnedRows::pair_linked(postgres::Connection& target) {
  for (std::size_t i = 0; i < table_.plan.outputs.size() && !touched_.empty(); ++i) {
    if (table_.plan.outputs[i].link.empty()) continue;
    for (const auto& [at, linked] : linked_keys(target, i)) {
      const auto key = linked.size() == 1 ? maker_.legacy_key(touched_.at(at).name, false) : std::nullopt;
      const Row row = key ? rows_->whole(*key) : Row();
      if (!row.empty()) pair(i, linked.front(), row);
    }
  }
}

// For each row that was touched the keys of those that refer to it and have the constants that the map gives
// them.
std::map<std::string, std::vector<std::string>> ReturnedRows::linked_keys(postgres::Connection& target,
                                                                          std::size_t output) const {
  const TablePlan& plan = table_.plans[output];
  const ColumnPlan& link = plan.columns[table_.place_in(output, table_.plan.outputs[output].link)];
  TargetRowsByKey query{quoted_name(plan), {&link}, {}, {}};
  query.columns = {"t." + quoted(link.target), "t." + quoted(table_.target_of(output).key.front())};
  for (const MapColumn& column : table_.target_of(output).columns)
    if (auto fixed = constant(column.expression.text))
      query.constants.emplace_back(quoted(column.target), *fixed);
  std::vector<Row> keys;
  for (const auto& [at, seen] : touched_)
    if (seen.parts[table_.plan.anchor]) keys.push_back(seen.name);
  std::map<std::string, std::vector<std::string>> linked;
  for (const Row& row : rows_by_key(target, query, keys))
    linked[encode(Row{row.front()})].push_back(text_of_key(row.back()));
  return linked;
}

// The key is kept as what the map's own would be.
void ReturnedRows::pair(std::size_t output, const std::string& linked, const Row& legacy_row) {
  keys_.listen();
  const auto key = maker_.forward().key(maker_.forward().map(legacy_row), output);
  const auto mapped = key ? std::optional(text_of_key(key->front())) : std::nullopt;
  const auto name = keys_.asked_for(mapped.value_or(linked));
  if (name && mapped && *mapped != linked) keys_.keep(*name, linked);
}

}  // namespace tidegate
