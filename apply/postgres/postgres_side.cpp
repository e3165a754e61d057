#include "apply/postgres/postgres_side.hpp"

#include <algorithm>

#include "apply/postgres/orphan_guard.hpp"
#include "apply/postgres/postgres_rows.hpp"
#include "apply/schema/native/native_plan.hpp"
#include "db/error.hpp"

namespace tidegate {
namespace {

// Relations of a stream count up from 1.
constexpr std::uint32_t first_relation = 0x4000'0000;

}  // namespace

PostgresSide::PostgresSide(TargetSession& legacy, Quarantine& quarantine, const Plans& plans)
    : legacy_(legacy), quarantine_(quarantine), plans_(plans), pairs_(legacy) {}

PostgresSide::~PostgresSide() = default;

std::unique_ptr<LegacyRows> PostgresSide::open(const ReturnedTable& table) {
  const auto plan = std::find_if(plans_.begin(), plans_.end(), [&](const auto& each) {
    return !each.second.from.empty() && shown_name(each.second) == table.source.name;
  });
  if (plan == plans_.end())
    throw Error("the legacy database has no record of its table " + table.source.name, "", Advice::stop);
  auto rows = std::make_unique<PostgresRows>(legacy_, quarantine_, table, plan->second,
                                             first_relation + static_cast<std::uint32_t>(tables_.size()));
  tables_.push_back(rows.get());
  return rows;
}

bool PostgresSide::gives_integers(const SourceTable& table, const std::string& column) const {
  const SourceColumn* described = table.column(column);
  return described && bound_type(described->declared_type) == BoundType::integer;
}

std::vector<LegacySide::Rejected> PostgresSide::rejects() {
  std::vector<Rejected> rejected;
  if (quarantine_.empty()) return rejected;
  auto rows = legacy_.connection().run(
      "SELECT source_table, source_key FROM tidegate.quarantine WHERE pipeline = $1", {legacy_.pipeline()});
  for (int i = 0; i < rows.rows(); ++i) {
    if (is_key_of_target(rows.text(i, 1))) continue;  // its parent has gone: nobody knows its name
    for (const PostgresRows* table : tables_)
      if (table->plan().source == rows.text(i, 0))
        rejected.push_back({table->name(), std::string(rows.text(i, 1))});
  }
  return rejected;
}

void PostgresSide::flush(NativeSink& sink, std::uint64_t sequence) {
  bool any = false;
  for (const PostgresRows* table : tables_) table->add_removals(sink);
  for (const PostgresRows* table : tables_) any = table->park(sink) || any;
  if (any) sink.spill(sequence);
  for (PostgresRows* table : tables_) table->add_rows(sink);
}

TablePlan returned_plan(const ReturnPlan& plan, const SourceTable& table) {
  const MapTarget& anchor = *plan.anchor_output().from.target;
  TablePlan back = native_plan(table);
  back.from = anchor.schema + "." + anchor.table;
  back.source = back.from + " -> " + table.name;
  return back;
}

}  // namespace tidegate
