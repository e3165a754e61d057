#include "replicator/pipeline/postgres_snapshot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <thread>

#include "apply/postgres/row_errors.hpp"
#include "db/binary_forms.hpp"
#include "db/error.hpp"
#include "db/replication.hpp"
#include "replicator/log.hpp"

namespace tidegate {
namespace {

constexpr const char* round_slot = "tidegate_round";

// Keys as the stream's relation has them, so that quarantined rows go by the same names.
Relation relation_of(const SnapshotTable& table) {
  Relation relation{0, table.name, table.columns, {}};
  for (const auto& column : table.key) {
    auto found = std::find(table.columns.begin(), table.columns.end(), column);
    if (found == table.columns.end()) {
      throw std::invalid_argument("table " + table.name + " is to be copied without its key");
    }
    relation.key.push_back(static_cast<std::uint32_t>(found - table.columns.begin()));
  }
  return relation;
}

// A reader's chunk, as the copier takes it.
class ReaderSource : public ChunkSource {
 private:
  // A row that the source's server cannot give (a character without a place in UTF-8, say) is none that the
  // target refused: leaving it out of the COPY would not help.
  template <class Work>
  auto of_source(const Work& work) const {
    try {
      return work();
    } catch (const TableRewritten&) {
      throw;
    } catch (const Error& error) {
      if (!is_row_error(error)) throw;
      throw Error(fmt::format("the source's server cannot send a row of table {}: {}; mend it there",
                              job_.table->name, error.what()),
                  "", Advice::stop);
    }
  }

 public:
  ReaderSource(ChunkReader& reader, const ChunkJob& job) : reader_(reader), job_(job) {}
  void open(bool binary) override {
    of_source([&] { reader_.open(*job_.table, job_.by_key, job_.after, job_.up_to, binary); });
  }
  bool read(std::string& into) override {
    return of_source([&] { return reader_.read(into); });
  }

 private:
  ChunkReader& reader_;
  const ChunkJob& job_;
};

Row last_key_of(ChunkReader& reader, const ChunkJob& job) {
  if (job.last) return reader.last_key(*job.table);
  return job.by_key ? job.up_to : Row{};
}

// Chunks are copied side by side: one that is behind another one says nothing new of how far the table is.
bool is_furthest(const RecordedTable& table, const RecordedChunk& chunk) {
  return std::none_of(table.chunks.begin(), table.chunks.end(),
                      [&](const RecordedChunk& each) { return each.number > chunk.number && each.mark; });
}

Plans plans_of(const std::vector<PostgresSnapshotTable>& tables) {
  Plans plans;
  for (const auto& table : tables) {
    for (const auto& plan : table.plans) plans.emplace(plan.source, plan);
  }
  return plans;
}

}  // namespace

PostgresSnapshot::Work::Work(PostgresSnapshotTable described) : table(std::move(described)) {
  for (std::size_t i = 0; i < table.plans.size(); ++i)
    mappers.emplace_back(table.plans[i],
                         table.mapped ? table.mapped->relation(i) : relation_of(table.source));
}

PostgresSnapshot::PostgresSnapshot(PostgresSnapshotOptions options, std::vector<PostgresSnapshotTable> tables,
                                   TargetSession& target, Quarantine& quarantine)
    : options_(std::move(options)),
      target_(target),
      quarantine_(quarantine),
      orphans_(target.connection(), target.replica_mode(), plans_of(tables)),
      summary_(target) {
  for (auto& table : tables) works_.emplace_back(std::move(table));
  ledger_ = read_ledger(target_);
}

bool PostgresSnapshot::whole() const {
  return std::all_of(works_.begin(), works_.end(), [this](const Work& work) {
    auto recorded = ledger_.find(work.table.source.name);
    return recorded != ledger_.end() && recorded->second.whole();
  });
}

bool PostgresSnapshot::copy(const std::stop_token& stop) {
  complete_summaries();
  while (!whole()) {
    if (stop.stop_requested()) return false;
    try {
      run_round(stop);
    } catch (const Error& error) {
      // A stop ends the wait for the source's open transactions with an error.
      if (!stop.stop_requested() || error.advice() != Advice::retry) throw;
    }
  }
  return true;
}

// Where it was not cut yet, or is to be read at once and did not become whole in an earlier round.
void PostgresSnapshot::split(Work& work, ChunkReader& reader) {
  RecordedTable& recorded = ledger_[work.table.source.name];
  if (!recorded.chunks.empty() && recorded.by_key()) return;
  TableSplit split = reader.split(work.table.source, options_.chunk);
  recorded = {};
  if (split.by_key) {
    recorded.key = work.table.source.key;
    recorded.orders = split.orders;
  } else {
    work.parts = split.up_to;
  }
  for (const Row& up_to : split.up_to) {
    int number = static_cast<int>(recorded.chunks.size()) + 1;
    recorded.chunks.push_back({number, split.by_key ? up_to : Row{}, std::nullopt, 0});
  }
  record_split(target_, quarantine_, work.table.plans, recorded);
}

ChunkCopier::Form PostgresSnapshot::form_of(const Work& work, ChunkReader& reader) {
  if (work.table.mapped) return ChunkCopier::Form::mapped;
  const TablePlan& plan = work.plan();
  std::vector<std::string> targets;
  for (const auto& column : plan.columns) {
    if (column.type != TargetType::native) return ChunkCopier::Form::mapped;
    targets.push_back(column.target);
  }
  auto sent = reader.binary_forms(work.table.source);
  bool known = std::find(sent.begin(), sent.end(), "") == sent.end();
  bool binary =
      known && sent == postgres::binary_forms(target_.connection(), plan.schema, plan.target, targets);
  return binary ? ChunkCopier::Form::binary : ChunkCopier::Form::text;
}

std::deque<ChunkJob> PostgresSnapshot::jobs_for(Work& work, ChunkReader& reader) {
  std::deque<ChunkJob> jobs;
  if (ledger_[work.table.source.name].whole()) return jobs;
  split(work, reader);
  const RecordedTable& recorded = ledger_[work.table.source.name];
  ChunkJob job{&work.table.source,
               &work.mappers,
               work.table.mapped,
               form_of(work, reader),
               recorded.by_key(),
               0,
               false,
               {},
               {}};
  for (std::size_t i = 0; i < recorded.chunks.size(); ++i) {
    job.number = recorded.chunks[i].number;
    job.last = i + 1 == recorded.chunks.size();
    job.up_to = job.by_key ? recorded.chunks[i].up_to : work.parts.at(i);
    if (!recorded.chunks[i].mark) jobs.push_back(job);
    job.after = job.up_to;
  }
  return jobs;
}

// Tables that are read at once go first: what a round leaves of the others is not lost. Mapped ones come
// last, in the order of the maps.
std::deque<ChunkJob> PostgresSnapshot::plan_round(const Round& round) {
  ChunkReader reader(options_.source);
  reader.begin(round);
  std::deque<ChunkJob> at_once, by_key, mapped;
  for (Work& work : works_) {
    try {
      for (auto& job : jobs_for(work, reader))
        (job.mapped ? mapped : job.by_key ? by_key : at_once).push_back(std::move(job));
    } catch (const TableRewritten& rewritten) {
      log_info("{}; it is left to the next round", rewritten.what());
    }
  }
  at_once.insert(at_once.end(), std::make_move_iterator(by_key.begin()),
                 std::make_move_iterator(by_key.end()));
  at_once.insert(at_once.end(), std::make_move_iterator(mapped.begin()),
                 std::make_move_iterator(mapped.end()));
  return at_once;
}

// A chunk that this round cannot read is left to the next one.
void PostgresSnapshot::work_on(SnapshotJobs& jobs, const Round& round, std::mutex& quarantine_mutex) {
  ChunkReader reader(options_.source);
  reader.begin(round);
  WorkerSession session(target_);
  ChunkCopier copier(session, quarantine_, quarantine_mutex, &orphans_);
  while (auto job = jobs.take()) {
    auto began = SnapshotJobs::Clock::now();
    ReaderSource source(reader, *job);
    try {
      Row last_key = last_key_of(reader, *job);
      const ChunkToCopy chunk{job->number, round.consistent_point()};
      auto rows = job->mapped ? copier.copy_mapped(*job->mapped, *job->mappers, chunk, source)
                              : copier.copy(job->mappers->front(), chunk, job->form, source);
      jobs.copied({std::move(*job), rows, std::move(last_key)});
      if (options_.pace) options_.pace(rows, began);
    } catch (const TableRewritten& rewritten) {
      log_info("{}; it is left to the next round", rewritten.what());
      jobs.left();
    }
  }
}

// The threads end before the round does, and the snapshot with it.
void PostgresSnapshot::run_round(const std::stop_token& stop) {
  auto until = SnapshotJobs::Clock::now() + options_.max_age;
  Round round(options_.source, round_slot, stop);
  auto planned = plan_round(round);
  int workers = std::clamp(static_cast<int>(planned.size()), 1, std::max(1, options_.jobs));
  log_event(
      LogLevel::info, "snapshot round begun",
      {{"consistent_point", postgres::lsn_text(round.consistent_point())}, {"chunks_left", planned.size()}});
  SnapshotJobs jobs(std::move(planned), workers, until, stop);
  std::mutex quarantine_mutex;
  std::vector<std::jthread> threads;
  for (int i = 0; i < workers; ++i) {
    threads.emplace_back([&] {
      std::exception_ptr failure;
      try {
        work_on(jobs, round, quarantine_mutex);
      } catch (...) {
        failure = std::current_exception();
      }
      jobs.ended(failure);
    });
  }
  try {
    while (auto copied = jobs.next()) note(*copied, round);
  } catch (...) {
    jobs.close();
    throw;
  }
}

void PostgresSnapshot::note(const SnapshotJobs::Copied& copied, const Round& round) {
  RecordedTable& recorded = ledger_.at(copied.job.table->name);
  RecordedChunk& chunk = recorded.chunks.at(static_cast<std::size_t>(copied.job.number - 1));
  chunk.mark = round.consistent_point();
  chunk.rows = copied.rows;
  auto chunks = std::count_if(recorded.chunks.begin(), recorded.chunks.end(),
                              [](const RecordedChunk& each) { return each.mark.has_value(); });
  postgres::Parameter last_key;
  std::optional<std::int64_t> id;
  if (!copied.last_key.empty() && is_furthest(recorded, chunk)) {
    last_key = key_as_json(copied.last_key);
    bool is_id = recorded.orders == std::vector{KeyOrder::integer};
    if (is_id) id = std::stoll(std::get<std::string>(copied.last_key.front()));
  }
  for (const RowMapper& mapper : *copied.job.mappers) {
    const std::string shown = shown_name(mapper.plan());
    if (chunks == 1) summary_.begin(shown);
    summary_.progress(shown, recorded.rows(), static_cast<int>(chunks), last_key, id);
    if (recorded.whole()) summary_.complete(shown, recorded.rows(), static_cast<int>(chunks));
  }
  if (options_.progress) options_.progress(copied.job.table->name, recorded.rows(), recorded.whole());
}

// Again, since a crash may have come between a table's last chunk and its summary.
void PostgresSnapshot::complete_summaries() {
  for (const Work& work : works_) {
    auto recorded = ledger_.find(work.table.source.name);
    if (recorded == ledger_.end() || !recorded->second.whole()) continue;
    for (const TablePlan& plan : work.table.plans)
      summary_.complete(shown_name(plan), recorded->second.rows(),
                        static_cast<int>(recorded->second.chunks.size()));
  }
}

}  // namespace tidegate
