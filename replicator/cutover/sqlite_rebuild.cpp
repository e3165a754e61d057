// A way back into a SQLite file that is built anew: rows that the target does not have go, and all others are
// brought in by the sink of the way back, which leaves alone what means the same.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "apply/sqlite/surplus_rows.hpp"
#include "capture/postgres/catalog.hpp"
#include "db/failpoint.hpp"
#include "replicator/cutover/mapped_rebuild.hpp"
#include "replicator/cutover/mapped_way_back.hpp"
#include "replicator/cutover/required_columns.hpp"
#include "replicator/cutover/sqlite_way_back.hpp"
#include "replicator/cutover/target_rows.hpp"
#include "replicator/log.hpp"
#include "replicator/server_access.hpp"

namespace tidegate::cutover {
namespace {

// Rows that the target never took, by the name of its table: by which columns they are found, and their keys.
struct LeftOut {
  std::vector<std::size_t> columns;
  std::map<std::string, Row> keys;
};
using AllLeftOut = std::map<std::string, LeftOut>;

using Rejected = std::set<std::pair<std::string, std::string>>;  // the legacy's table, the target's key

Refused altered(const std::string& table, const std::string& how) {
  return Refused("way-back-schema-changed",
                 "table " + table + " of the target was altered so that its rows cannot go back: " + how,
                 "undo that change on the target");
}

class Rebuild {
 public:
  // `tables` outlive it; all that is read of the target is what `target` sees.
  Rebuild(LegacyFile& file, const ReverseTables& tables, SqliteSink& sink, postgres::Connection& target,
          const Position& start, const WayBack::Tell& tell, const std::stop_token& stop)
      : file_(file), tables_(tables), target_(target), start_(start), tell_(tell), stop_(stop), sink_(sink) {}

  void remove_surplus(const AllLeftOut& left_out) {
    std::uint32_t id = 0;
    for (const auto& [name, table] : tables_) relations_.emplace(name, relation_of(name, table, ++id));
    for (const auto& [name, table] : tables_) remove_surplus(name, table, left_out.at(name));
  }
  void write() {
    for (const auto& [name, table] : tables_) write(name, nullptr);
    settle();
  }

 private:
  Relation relation_of(const std::string& name, const ReverseTable& table, std::uint32_t id) const {
    Relation relation{id, name, {}, {}};
    for (const auto& column : table.columns) relation.columns.push_back(column.forward.target);
    const auto found = capture::read_catalog(target_, {name}, {});
    if (found.size() != 1) throw altered(name, "it is not there any more");
    for (const auto& column : found.front().identity) {
      const auto place = table.place_of(column);
      if (!place) throw altered(name, "its key has a column of its own");
      relation.key.push_back(static_cast<std::uint32_t>(*place));
    }
    if (relation.key.empty()) throw altered(name, "it has no key any more");
    return relation;
  }

  static std::string select(const Relation& relation, bool key_only) {
    std::string list;
    const auto add = [&](const std::string& column) {
      list += (list.empty() ? "" : ", ") + sqlite::quoted(column);
    };
    if (!key_only)
      for (const auto& column : relation.columns) add(column);
    else
      for (const auto place : relation.key) add(relation.columns[place]);
    const auto dot = relation.table.find('.');
    return "SELECT " + list + " FROM " +
           capture::quoted_name(relation.table.substr(0, dot), relation.table.substr(dot + 1));
  }

  void remove_surplus(const std::string& name, const ReverseTable& table, const LeftOut& left_out) {
    const Relation& relation = relations_.at(name);
    tell_("looking for rows of " + table.legacy + " that the target does not have");
    SurplusRows surplus(file_, table, {relation.key.begin(), relation.key.end()});
    RowsInPieces rows(target_, "tidegate_rebuild", select(relation, true));
    for (Row key; rows.next(key);) go_on_unless(stop_), surplus.target_has(key);
    LegacyTable legacy(file_.database(), table, left_out.columns);
    for (const auto& [shown, key] : left_out.keys)
      if (const auto row = legacy.find(key)) surplus.keep(*row);
    if (const auto removed = surplus.remove(); removed > 0)
      log_info("way back: {} rows of {} are not on the target and went", removed, table.legacy);
  }

  // All rows of the table, or those that were rejected; these are written together.
  void write(const std::string& name, const Rejected* only) {
    const Relation& relation = relations_.at(name);
    const std::string& legacy = tables_.at(name).legacy;
    RowsInPieces rows(target_, "tidegate_rebuild", select(relation, false));
    std::uint64_t written = 0;
    for (Row row; rows.next(row);) {
      go_on_unless(stop_);
      if (only && !only->contains({legacy, key_as_json(key_of(relation, row))})) continue;
      Change change;
      change.relation = relation.id;
      change.row = std::move(row);
      sink_.add(relation, std::move(change));
      ++written;
      if (only || sink_.rows() < batches_back.max_rows) continue;
      flush();
      tell_(fmt::format("table {}: {} rows", legacy, written));
    }
    if (!only) flush();
  }

  void flush() {
    if (sink_.rows() > 0) sink_.write(start_);
    failpoint("rebuild-batch-written");
  }

  // A unique value may have stood in a row that came later, so who was kept out is tried again, all together.
  void settle() {
    for (std::size_t before = 0; file_.rejects() > 0 && file_.rejects() != before;) {
      before = file_.rejects();
      Rejected rejected;
      for (const auto& reject : list_rejects(file_.database())) rejected.emplace(reject.table, reject.key);
      for (const auto& [name, table] : tables_) {
        const bool has =
            std::any_of(rejected.begin(), rejected.end(),
                        [&legacy = table.legacy](const auto& one) { return one.first == legacy; });
        if (has) write(name, &rejected);
      }
      flush();
    }
  }

  LegacyFile& file_;
  const ReverseTables& tables_;
  postgres::Connection& target_;
  const Position& start_;
  const WayBack::Tell& tell_;
  const std::stop_token& stop_;
  std::map<std::string, Relation> relations_;
  SqliteSink& sink_;
};

AllLeftOut left_out_rows(postgres::Connection& target, const std::string& pipeline,
                         const std::vector<TablePlan>& plans, const ReverseTables& tables) {
  AllLeftOut all;
  for (const TablePlan& plan : plans) {
    const auto table = tables.find(shown_name(plan));
    if (!plan.from.empty() || table == tables.end()) continue;
    LeftOut& rows = all[table->first];
    for (const std::string& column : plan.key)
      if (const auto place = table->second.place_of(column)) rows.columns.push_back(*place);
    if (rows.columns.size() == plan.key.size()) rows.keys = left_out_of(target, pipeline, plan.source);
  }
  return all;
}

}  // namespace

void SqliteWayBack::require_rebuildable() {
  postgres::Connection target(connect_options(settings_, "tidegate way back"));
  require_columns(target, plans(), "target");
  LegacyFile file(settings_.source.end.path, settings_.pipeline);
  const Tables all = look_at_tables(file.database());
  reverse_tables(file.database(), all, nullptr);
  for (const Finding& finding : mapped_findings(all))
    if (finding.level == Finding::Level::block) throw Refused(finding.code, finding.message, finding.mend);
}

void SqliteWayBack::bring_in_line(const Beginning& beginning) {
  LegacyFile file(settings_.source.end.path, settings_.pipeline);
  file.begin_anew(beginning.start);
  const Tables all = look_at_tables(file.database());
  const ReverseTables tables = reverse_tables(file.database(), all, nullptr);
  const MappedWayBack mapped(settings_, all.plans, all.sources, all.followed);
  SqliteSide side(file);
  const auto running = mapped.start_anew(side, beginning.target);
  SqliteSink sink(file, tables, MappedWayBack::rows_of(running), &side);
  Rebuild plain(file, tables, sink, beginning.target, beginning.start, beginning.tell, beginning.stop);
  std::optional<MappedRebuild> rows;
  if (running)
    rows.emplace(*MappedWayBack::rows_of(running),
                 MappedRebuild::Ends{beginning.target, settings_.pipeline, sink, beginning.start,
                                     beginning.tell, beginning.stop});
  plain.remove_surplus(left_out_rows(beginning.target, settings_.pipeline, all.plans, tables));
  if (rows) rows->remove_surplus();
  plain.write();
  if (rows) rows->write();
  if (rows) rows->settle([&] { return file.rejects(); });
}

}  // namespace tidegate::cutover
