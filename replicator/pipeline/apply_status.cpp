#include "replicator/pipeline/apply_status.hpp"

#include <map>
#include <utility>

#include "apply/postgres/chunk_loader.hpp"

namespace tidegate {

void show_tables(Coordination& coordination, ApplySession& session) {
  std::vector<TableStatus> tables;
  auto chunks = loaded_chunks(session.target);
  for (const auto& table : session.view->tables()) {
    for (const auto& plan : session.plans_of(table.name)) {
      TableStatus& shown = tables.emplace_back();
      shown.source = table.name;
      shown.target = shown_name(plan);
      shown.rows_total = session.view->rows_of(table.name);
      for (const auto& chunk : chunks) {
        if (chunk.table == shown.source) shown.rows_copied += chunk.rows;
      }
    }
  }
  coordination.update([&](Status& status) { status.tables = std::move(tables); });
}

void show_quarantine(Coordination& coordination, ApplySession& session) {
  std::map<std::pair<std::string, std::string>, std::uint64_t> counts;
  for (const auto& [relation, count] : count_quarantine(session.target)) {
    auto plan = session.plans.find(relation);
    if (plan == session.plans.end()) continue;
    counts[{plan->second.source_table(), shown_name(plan->second)}] += count;
  }
  coordination.update([&](Status& status) {
    status.quarantined = 0;
    for (auto& table : status.tables) {
      auto found = counts.find({table.source, table.target});
      table.rows_quarantined = found == counts.end() ? 0 : found->second;
      status.quarantined += table.rows_quarantined;
    }
  });
}

void show_streaming(Coordination& coordination, ApplySession& session) {
  show_tables(coordination, session);
  coordination.update([](Status& status) {
    for (auto& table : status.tables) table.state = "streaming";
  });
  session.resyncs->show();
  show_quarantine(coordination, session);
}

}  // namespace tidegate
