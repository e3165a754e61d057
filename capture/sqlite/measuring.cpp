#include "capture/sqlite/measuring.hpp"

#include <algorithm>
#include <exception>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>

#include "capture/sqlite/catalog.hpp"
#include "capture/sqlite/live_read.hpp"
#include "capture/sqlite/shadow.hpp"
#include "proto/measure.hpp"

namespace tidegate {
namespace {

constexpr unsigned most_threads = 4;
// A stretch of a table is read by one thread at once: worth its statement, and short beside a large table.
constexpr std::uint64_t least_rowids = 100'000, most_stretches = 1024;

struct Stretch {
  std::size_t table;
  std::optional<std::pair<std::int64_t, std::int64_t>> rowids;  // absent: all of the table
};

// The rowids from `first` to `last` in stretches of equal width.
void split(std::size_t table, std::int64_t first, std::int64_t last, std::vector<Stretch>& into) {
  const std::uint64_t span = static_cast<std::uint64_t>(last) - static_cast<std::uint64_t>(first);
  const std::uint64_t width = std::max(least_rowids, span / most_stretches + 1);
  for (std::uint64_t from = 0;; from += width) {
    const bool is_last = span - from < width;
    const auto at = [&](std::uint64_t offset) {
      return static_cast<std::int64_t>(static_cast<std::uint64_t>(first) + offset);
    };
    into.push_back({table, std::pair(at(from), is_last ? last : at(from + width - 1))});
    if (is_last) return;
  }
}

TableMeasure empty_measure(const SourceTable& table) {
  TableMeasure measure;
  measure.columns.resize(table.columns.size());
  return measure;
}

// Columns that only the shadow has come first.
void add_row(const Row& row, TableMeasure& into) {
  const std::size_t hidden = row.size() - into.columns.size();
  for (std::size_t i = hidden; i < row.size(); ++i) measure(into.columns[i - hidden], row[i]);
  ++into.rows;
}

// The tables of one file, handed out stretch by stretch to whoever reads it.
class Measuring {
 public:
  Measuring(std::vector<FilledTable>& tables, const ReadProgress& progress)
      : tables_(tables), progress_(progress) {}

  void plan(sqlite::Database& live) {
    for (std::size_t i = 0; i < tables_.size(); ++i) {
      const ShadowTable table(0, tables_[i].source, "");
      if (!table.found_by_rowid()) {
        stretches_.push_back({i, std::nullopt});
        continue;
      }
      auto ends = live.prepare(table.select_rowid_ends());
      if (ends.step() && !ends.is_null(0)) split(i, ends.integer(0), ends.integer(1), stretches_);
    }
  }
  std::size_t stretches() const { return stretches_.size(); }

  // Until nothing is left. To be called by several threads, each with its own connection.
  void work(sqlite::Database& live) noexcept {
    try {
      while (const auto stretch = take()) add(*stretch, read(live, *stretch));
    } catch (...) {
      std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::optional<Stretch> take() {
    std::lock_guard lock(mutex_);
    if (failure_ || next_ == stretches_.size()) return std::nullopt;
    return stretches_[next_++];
  }

  TableMeasure read(sqlite::Database& live, const Stretch& stretch) const {
    const SourceTable& source = tables_[stretch.table].source;
    const ShadowTable table(0, source, "");
    auto rows = live.prepare(table.select_live(stretch.rowids ? ShadowTable::Rows::in_rowid_range
                                                              : ShadowTable::Rows::in_any_order));
    if (stretch.rowids) rows.bind_all(stretch.rowids->first, stretch.rowids->second);
    TableMeasure measured = empty_measure(source);
    for (Row row; rows.step();) {
      rows.read_row(row, 0, table.width());
      add_row(row, measured);
    }
    return measured;
  }

  void add(const Stretch& stretch, const TableMeasure& measured) {
    std::lock_guard lock(mutex_);
    FilledTable& table = tables_[stretch.table];
    unite(table.measure, measured);
    progress_(table.source.name, table.measure.rows);
  }

  std::vector<FilledTable>& tables_;
  const ReadProgress& progress_;
  std::vector<Stretch> stretches_;
  std::mutex mutex_;
  std::size_t next_ = 0;
  std::exception_ptr failure_;
};

// A connection and a snapshot of its own. One that shows another schema leaves the work to the others.
void help(Measuring& work, const std::string& path, std::int64_t schema_version) noexcept {
  try {
    auto live = capture::open_live(path);
    live.execute("BEGIN");
    if (live.integer("PRAGMA schema_version") == schema_version) work.work(live);
  } catch (const std::exception&) {
    // One that cannot be had does so too.
  }
}

void measure_all(sqlite::Database& live, const std::string& path, std::vector<FilledTable>& tables,
                 const ReadProgress& progress) {
  Measuring work(tables, progress);
  work.plan(live);
  const auto version = live.integer("PRAGMA schema_version");
  const auto cores = std::clamp(std::thread::hardware_concurrency(), 1u, most_threads);
  {
    std::vector<std::jthread> helpers;
    for (std::size_t i = 1; i < std::min<std::size_t>(cores, work.stretches()); ++i)
      helpers.emplace_back([&] { help(work, path, version); });
    work.work(live);
  }
  work.rethrow();
}

// Without WAL writers wait while we read, so nothing else is done meanwhile.
std::vector<std::vector<Row>> read_all(sqlite::Database& live, const std::vector<FilledTable>& tables) {
  std::vector<std::vector<Row>> read;
  std::size_t memory = capture::most_read_without_wal;
  for (const FilledTable& each : tables) {
    auto& into = read.emplace_back();
    const ShadowTable table(0, each.source, "");
    for (auto rows = live.prepare(table.select_live(ShadowTable::Rows::in_any_order)); rows.step();) {
      rows.read_row(into.emplace_back(), 0, table.width());
      const std::size_t bytes = size_in_memory(into.back());
      if (bytes > memory) throw capture::wal_needed(live.path());
      memory -= bytes;
    }
  }
  return read;
}

}  // namespace

std::vector<FilledTable> measure_source(const CaptureOptions& options, const ReadProgress& progress) {
  std::vector<FilledTable> measured;
  std::vector<std::vector<Row>> read;  // without WAL, by table
  capture::read_live(options.path, [&](sqlite::Database& live) {
    sqlite::Transaction snapshot(live);
    for (SourceTable& source : capture::read_catalog(live, options.include, options.exclude)) {
      TableMeasure nothing = empty_measure(source);
      measured.push_back({std::move(source), std::move(nothing)});
    }
    if (live.text("PRAGMA journal_mode") == "wal") {
      measure_all(live, options.path, measured, progress);
    } else {
      read = read_all(live, measured);
    }
  });
  for (std::size_t i = 0; i < read.size(); ++i) {
    for (const Row& row : read[i]) add_row(row, measured[i].measure);
    progress(measured[i].source.name, measured[i].measure.rows);
  }
  return measured;
}

}  // namespace tidegate
