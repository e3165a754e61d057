// A way back into a Postgres database that is built anew: both databases are read in one order, and what
// differs is written by the sink of the way back. Rows that differ are taken out first and put in again, so
// that no unique value stands in the way of another.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "apply/postgres/legacy_side.hpp"
#include "apply/postgres/native/native_sink.hpp"
#include "apply/postgres/quarantine.hpp"
#include "apply/postgres/target_fence.hpp"
#include "apply/postgres/target_tables.hpp"
#include "db/failpoint.hpp"
#include "replicator/cutover/back_plans.hpp"
#include "replicator/cutover/mapped_rebuild.hpp"
#include "replicator/cutover/postgres_mapped.hpp"
#include "replicator/cutover/postgres_way_back.hpp"
#include "replicator/cutover/required_columns.hpp"
#include "replicator/cutover/target_rows.hpp"
#include "replicator/log.hpp"

namespace tidegate::cutover {
namespace {

// A table on both sides, and the order in which its rows are read.
struct Compared {
  Relation relation;
  std::string target_select, legacy_select;
  std::size_t order_columns = 0;  // behind those of the relation
  std::string legacy_name = {};   // as the quarantine calls it
};

std::string joined(const std::vector<std::string>& items) {
  std::string list;
  for (const auto& item : items) list += (list.empty() ? "" : ", ") + item;
  return list;
}

// Any type can be printed, and C orders texts by their bytes, whatever the servers' collations. Without a key
// the whole row is what it is ordered by.
std::string select(const std::string& from, const std::vector<std::string>& columns,
                   const std::vector<std::string>& key) {
  std::vector<std::string> order;
  for (const auto& column : key) order.push_back(column + "::text COLLATE \"C\"");
  if (key.empty()) order.push_back("ROW(" + joined(columns) + ")::text COLLATE \"C\"");
  return "SELECT " + joined(columns) + ", " + joined(order) + " FROM " + from + " ORDER BY " + joined(order);
}

Compared compared(const capture::PostgresTable& table, const TablePlan& back, std::uint32_t id) {
  Compared both{
      {id, table.source, {}, {}}, "", "", std::max<std::size_t>(table.identity.size(), 1), shown_name(back)};
  std::vector<std::string> here, there, key_here, key_there;
  for (const auto& column : back.columns) {
    const auto found = std::find_if(table.columns.begin(), table.columns.end(),
                                    [&](const auto& each) { return each.name == column.source; });
    if (found == table.columns.end() || found->generated) continue;
    both.relation.columns.push_back(column.source);
    here.push_back(tidegate::quoted(column.source));
    there.push_back(tidegate::quoted(column.target));
  }
  for (const auto& name : table.identity) {
    const auto& columns = both.relation.columns;
    const auto place = std::find(columns.begin(), columns.end(), name) - columns.begin();
    both.relation.key.push_back(static_cast<std::uint32_t>(place));
    key_here.push_back(here.at(static_cast<std::size_t>(place)));
    key_there.push_back(there.at(static_cast<std::size_t>(place)));
  }
  const char* only = table.partitioned ? "" : "ONLY ";
  both.target_select = select(only + capture::quoted_name(table.schema, table.name), here, key_here);
  both.legacy_select = select(only + quoted_name(back), there, key_there);
  return both;
}

// The next row of one side, its order taken off.
class OneSide {
 public:
  OneSide(postgres::Connection& connection, const char* cursor, const std::string& select, std::size_t width)
      : rows_(connection, cursor, select), width_(width) {
    advance();
  }
  bool over() const { return over_; }
  const Row& row() const { return row_; }
  const Row& order() const { return order_; }
  void advance() {
    over_ = !rows_.next(row_);
    if (over_) return;
    const auto behind = row_.begin() + static_cast<std::ptrdiff_t>(width_);
    order_.assign(behind, row_.end());
    row_.erase(behind, row_.end());
  }

 private:
  RowsInPieces rows_;
  std::size_t width_;
  bool over_ = false;
  Row row_, order_;
};

// As SQL orders them: NULL last.
int compare(const Row& left, const Row& right) {
  for (std::size_t i = 0; i < left.size(); ++i) {
    const auto *one = std::get_if<std::string>(&left[i]), *other = std::get_if<std::string>(&right[i]);
    if (!one || !other) {
      if (!one && !other) continue;
      return one ? -1 : 1;
    }
    if (const int order = one->compare(*other)) return order;
  }
  return 0;
}

class Rebuild {
 public:
  enum class Pass { take_out, put_in };

  struct Sinks {
    Sink &sink, &replacing;
  };

  Rebuild(postgres::Connection& target, postgres::Connection& legacy, Sinks sinks,
          const std::string& pipeline, const Position& start, const std::stop_token& stop)
      : target_(target), legacy_(legacy), sinks_(sinks), pipeline_(pipeline), start_(start), stop_(stop) {}

  // How many rows the pass has written.
  std::uint64_t run(const Compared& table, Pass pass) {
    const auto left_out = left_out_of(target_, pipeline_, table.legacy_name);
    std::uint64_t written = 0;
    {
      const postgres::Transaction look(legacy_, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
      const std::size_t width = table.relation.columns.size();
      OneSide here(target_, "tidegate_target", table.target_select, width);
      OneSide there(legacy_, "tidegate_legacy", table.legacy_select, width);
      while (!here.over() || !there.over()) {
        go_on_unless(stop_);
        const int order = here.over() ? 1 : there.over() ? -1 : compare(here.order(), there.order());
        const bool differs = order != 0 || here.row() != there.row();
        const bool never_came = order > 0 && left_out.contains(key_as_json(there.order()));
        if (pass == Pass::take_out && order >= 0 && differs && !never_came)
          write(order == 0 ? sinks_.replacing : sinks_.sink, table.relation, Operation::remove, there.row()),
              ++written;
        if (pass == Pass::put_in && order <= 0 && differs)
          write(sinks_.sink, table.relation, Operation::insert, here.row()), ++written;
        if (order <= 0) here.advance();
        if (order >= 0) there.advance();
      }
    }
    flush();
    return written;
  }

 private:
  void write(Sink& sink, const Relation& relation, Operation operation, const Row& row) {
    Change change;
    change.operation = operation;
    change.relation = relation.id;
    change.row = row;
    sink.add(relation, std::move(change));
    if (sink.rows() >= batches_back.max_rows || sink.bytes() >= batches_back.max_bytes) flush();
  }
  void flush() {
    for (Sink* sink : {&sinks_.sink, &sinks_.replacing})
      if (sink->rows() > 0) sink->write(start_);
    failpoint("rebuild-batch-written");
  }

  postgres::Connection &target_, &legacy_;
  Sinks sinks_;
  const std::string& pipeline_;
  const Position& start_;
  const std::stop_token& stop_;
};

}  // namespace

void PostgresWayBack::require_rebuildable() {
  auto target = connect_target(connect_options(settings_, "tidegate way back"));
  require_columns(target, recorded_plans(target, settings_.pipeline), "target");
  look_([&](postgres::Connection& legacy) {
    require_columns(legacy, plans_back(target, legacy, settings_).plans, "legacy database");
    return 0;
  });
  std::vector<Finding> findings;
  find_legacy_trouble(findings);
  for (const auto& finding : findings)
    if (finding.level == Finding::Level::block) throw Refused(finding.code, finding.message, finding.mend);
}

void PostgresWayBack::bring_in_line(const Beginning& beginning) {
  auto target = connect_target(connect_options(settings_, "tidegate way back"));
  auto legacy = connect_source(source_options(settings_, "tidegate way back"));
  const auto [back, followed, findings] = plans_back(target, legacy, settings_);
  begin_legacy_anew(legacy, settings_.pipeline, back, beginning.start);
  legacy.run("SET row_security = off");
  // Parents and children come in batches of their own.
  NativeSink::Guards guards;
  guards.orphans = settings_.maps.empty();
  Writing writing(settings_, beginning.start.incarnation, guards);
  // A row that is put in again has not gone.
  guards.outside = false;
  NativeSink replacing(writing.session, writing.quarantine, writing.plans, guards);
  std::vector<Compared> tables;
  for (const auto& table : capture::read_catalog(target, followed, {})) {
    const auto plan = std::find_if(back.begin(), back.end(),
                                   [&](const TablePlan& each) { return each.source == table.source; });
    if (plan != back.end())
      tables.push_back(compared(table, *plan, static_cast<std::uint32_t>(tables.size() + 1)));
  }
  Rebuild rebuild(beginning.target, legacy, {writing.sink, replacing}, settings_.pipeline, beginning.start,
                  beginning.stop);
  for (const auto& [pass, what] :
       {std::pair{Rebuild::Pass::take_out, "taking out"}, std::pair{Rebuild::Pass::put_in, "putting in"}})
    for (const auto& table : tables) {
      beginning.tell(fmt::format("table {}: {} what differs", table.relation.table, what));
      if (const auto rows = rebuild.run(table, pass); rows > 0)
        log_info("way back: {} {} rows of {}", what, rows, table.relation.table);
    }
  if (!settings_.maps.empty()) bring_mapped_in_line(beginning, writing);
}

void PostgresWayBack::bring_mapped_in_line(const Beginning& beginning, Writing& writing) {
  PostgresMapped mapped(settings_, {writing.session, writing.quarantine, writing.plans});
  mapped.begin_anew(writing.sink, beginning.target);
  MappedRebuild rows(mapped.rows(), {beginning.target, settings_.pipeline, mapped.sink(), beginning.start,
                                     beginning.tell, beginning.stop});
  rows.remove_surplus();
  rows.write();
  rows.settle([&] { return writing.quarantine.size(); });
  rows.hold_orphans();
}

}  // namespace tidegate::cutover
