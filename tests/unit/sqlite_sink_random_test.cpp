// Random transactions of a target, with keys that move and unique values that wander, against a model: after
// each batch the legacy file holds the model's rows and no reject. TIDEGATE_SEED repeats a run.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "apply/sqlite/sqlite_sink.hpp"
#include "support/live_file.hpp"
#include "support/plans.hpp"
#include "support/seeded.hpp"

namespace tidegate {
namespace {

using namespace testing_support;

constexpr int most_keys = 8, most_names = 12;  // few, so that rows meet

class Random {
 public:
  explicit Random(Seeded& seeded) : random_(seeded), app_(wal_writer_of(live_.path())) {
    app_.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, note TEXT)");
    const TablePlan plan =
        testing_support::plan("t", {column("id", TargetType::bigint), column("name", TargetType::text, true),
                                    column("note", TargetType::text)});
    SourceTable source;
    source.name = "t";
    source.columns = {{"id", "INTEGER", true, {}, "BINARY", {}, false},
                      {"name", "TEXT", true, {}, "BINARY", {}, false},
                      {"note", "TEXT", false, {}, "BINARY", {}, false}};
    source.primary_key = {"id"};
    source.integer_key = true;
    tables_.emplace("public.t", plan_back(plan, source).table);
    file_ = std::make_unique<LegacyFile>(live_.path(), "p");
    file_->begin({"j", 0, ""});
    sink_ = std::make_unique<SqliteSink>(*file_, tables_);
  }

  void batch() {
    for (int i = 0, n = below(6) + 1; i < n; ++i) {
      transaction();
      if (below(10) == 0) sink_->spill(sequence_ + 1);
    }
    ++sequence_;
    sink_->write({"j", sequence_, "d"});
  }

  std::string model() const {
    std::string all;
    for (const auto& [id, row] : rows_) all += std::to_string(id) + row.name + row.note + ";";
    return all;
  }
  std::string legacy() {
    std::string all;
    auto rows = app_.prepare("SELECT id || name || coalesce(note, '') FROM t ORDER BY id");
    while (rows.step()) all += rows.text(0) + ";";
    return all;
  }
  std::size_t rejects() const { return file_->rejects(); }

 private:
  struct Kept {
    std::string name, note;
  };
  int below(int n) { return static_cast<int>(random_.below(static_cast<std::size_t>(n))); }
  bool name_is_free(const std::string& name) const {
    return std::none_of(rows_.begin(), rows_.end(), [&](const auto& row) { return row.second.name == name; });
  }
  static Row row_of(int id, const Kept& kept) {
    return {text(std::to_string(id)), text(kept.name), kept.note.empty() ? Value(Null{}) : text(kept.note)};
  }

  void transaction() {
    for (int i = 0, n = below(4) + 1; i < n; ++i) one_change();
    if (rows_.size() >= 2 && below(2) == 0) exchange();
  }

  void one_change() {
    const int id = below(most_keys);
    const auto there = rows_.find(id);
    const std::string name = "n" + std::to_string(below(most_names)) + " ", note = below(3) ? "x" : "";
    if (there == rows_.end()) {
      if (!name_is_free(name)) return;
      rows_[id] = {name, note};
      return send(inserted(row_of(id, rows_[id])));
    }
    switch (below(12)) {
      case 0:
        if (below(6) != 0) return;
        rows_.clear();
        return send({Operation::truncate, 1, {}, {}, {}});
      case 1:
      case 2:
      case 3:
        rows_.erase(there);
        return send(removed({text(std::to_string(id)), Null{}, Null{}}));
      case 4:
      case 5:
      case 6:
        return move(id, below(most_keys));
      default:
        return change(id, name_is_free(name) ? name : there->second.name, note);
    }
  }

  void change(int id, const std::string& name, const std::string& note) {
    const bool same_name = rows_[id].name == name;
    rows_[id] = {name, note};
    Change update{Operation::update, 1, row_of(id, rows_[id]), {}, {}};
    if (same_name && below(2) == 0) {
      update.absent = {1};
      update.row[1] = Null{};
    }
    send(std::move(update));
  }

  void move(int from, int to) {
    if (rows_.contains(to)) return;
    rows_[to] = rows_[from];
    rows_.erase(from);
    Change update{Operation::update, 1, row_of(to, rows_[to]), {}, {}};
    update.before = {text(std::to_string(from)), Null{}, Null{}};
    send(std::move(update));
  }

  // As the target checks each statement, through a third value.
  void exchange() {
    const int a = rows_.begin()->first, b = rows_.rbegin()->first;
    const std::string name_of_a = rows_[a].name, name_of_b = rows_[b].name;
    change(a, "parked", rows_[a].note);
    change(b, name_of_a, rows_[b].note);
    change(a, name_of_b, rows_[a].note);
  }

  void send(Change change) { sink_->add(relation_, std::move(change)); }

  Seeded& random_;
  LiveFile live_;
  sqlite::Database app_;
  Relation relation_{1, "public.t", {"id", "name", "note"}, {0}};
  ReverseTables tables_;
  std::unique_ptr<LegacyFile> file_;
  std::unique_ptr<SqliteSink> sink_;
  std::map<int, Kept> rows_;
  std::uint64_t sequence_ = 0;
};

TEST(SqliteSinkRandom, TheLegacyFileIsTheModel) {
  Seeded seeded;
  SCOPED_TRACE(seeded.told());
  Random random(seeded);
  for (int batch = 0; batch < Seeded::rounds(1500); ++batch) {
    random.batch();
    ASSERT_EQ(random.legacy(), random.model()) << "batch " << batch;
    ASSERT_EQ(random.rejects(), 0u) << "batch " << batch;
  }
}

}  // namespace
}  // namespace tidegate
