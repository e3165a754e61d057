// The way back into a legacy SQLite file.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "apply/mapping/keys/key_memory.hpp"
#include "apply/sqlite/sqlite_sink.hpp"
#include "replicator/cutover/reverse_capture.hpp"
#include "replicator/cutover/way_back.hpp"

namespace tidegate::cutover {

class SqliteWayBack : public WayBack {
 public:
  // `journal_path`: back.db in the state directory. `keys`: the key memory, which gets the pairs of rows that
  // were born on the target; none where there is no mapping, or all is taken away. Changes nothing anywhere.
  SqliteWayBack(const Settings& settings, const std::string& journal_path,
                std::shared_ptr<KeyMemory> keys = nullptr);

  void prepare(std::stop_token stop) override;
  std::vector<Finding> ready() override;
  std::string record_start(Clock::time_point until) override;
  void run(const std::string& start, std::stop_token stop) override;
  Lag lag() override;
  std::optional<std::uint64_t> caught_up(Clock::time_point until, std::stop_token stop) override;
  void resume() override;
  std::vector<Finding> ready_to_return() override;
  std::string prove(std::uint64_t sequence) override;
  std::size_t rejects() override;
  void remove() override;

 private:
  sqlite::Database look_at_legacy() const;  // query_only
  // What is recorded on the target and lies in the legacy file, as of now.
  struct Tables {
    std::vector<TablePlan> plans;
    std::set<std::string> followed;
    std::vector<SourceTable> sources;
  };
  Tables look_at_tables(sqlite::Database& legacy) const;
  static ReverseTables reverse_tables(sqlite::Database& legacy, const Tables& tables,
                                      std::vector<Finding>* findings);
  std::vector<TablePlan> plans() const;
  void find_stream_trouble(std::vector<Finding>& findings);
  void find_foreign_writers(std::vector<Finding>& findings) const;
  void find_legacy_trouble(std::vector<Finding>& findings) const;
  void work(const Position& start, const std::stop_token& stop);
  void find_rejects(std::vector<Finding>& findings) const;
  void hand_over_ids();
  void hand_over_keys();
  void applied(std::uint64_t sequence);
  void pulse(const std::stop_token& stop);

  const Settings& settings_;
  std::shared_ptr<KeyMemory> keys_;
  ReverseCapture capture_;
  std::mutex mutex_;
  std::condition_variable_any moved_;
  std::uint64_t applied_ = 0;
  bool running_ = false;  // it has been, in this process
};

// The start of the stream as the cutover's journal keeps it. parse_start throws Error (stop).
std::string start_text(const Position& start);
Position parse_start(const std::string& text);

}  // namespace tidegate::cutover
