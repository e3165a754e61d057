// The legacy file as the way back writes to it: a connection that passes the fence, and what tidegate keeps
// in the file itself. README.md, "What is durable when".
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "db/sqlite.hpp"
#include "proto/position.hpp"

namespace tidegate {

// A row of the target that the legacy file cannot hold: named, never shown.
struct LegacyReject {
  std::string table, key, column, reason;  // the legacy's table; the key as JSON; column may be empty
  std::uint64_t sequence = 0;
};

class LegacyFile {
 public:
  // Opens the file with triggers and foreign keys off, and synchronous FULL. Changes nothing in it.
  LegacyFile(const std::string& path, std::string pipeline);

  sqlite::Database& database() { return database_; }

  // Makes tidegate's tables with the position `start`, or finds them as an earlier call left them. To be
  // called after the point of no return only. Throws Refused where they are of another pipeline or another
  // journal.
  void begin(const Position& start);
  // The same for a way back that is built anew: whatever an earlier one has left of position and rejects
  // goes. Throws Refused where it is another pipeline's.
  void begin_anew(const Position& start);
  const Position& position() const { return position_; }

  // Within the caller's immediate transaction: enter() first, which throws Error (stop) where the position is
  // not the one that was last seen here; advance_to() last. moved() once the transaction is committed.
  void enter();
  void advance_to(const Position& next);
  void moved(const Position& next) { position_ = next; }

  void hold(const LegacyReject& reject);
  void release(const std::string& table, const std::string& key);
  // What the transaction that was rolled back had held or released.
  void read_rejects();
  std::size_t rejects() const { return rejected_.size(); }

 private:
  Position read_position();
  void find_position(const Position& start);
  bool is_of_our_pipeline();

  sqlite::Database database_;
  std::string pipeline_;
  Position position_;
  std::set<std::pair<std::string, std::string>> rejected_;  // table and key
};

// Of any legacy file; absent or empty where tidegate has not written to it.
std::optional<Position> position_in(sqlite::Database& legacy);
std::vector<LegacyReject> list_rejects(sqlite::Database& legacy);
// Takes tidegate's tables out of the file, in the caller's transaction.
void drop_legacy_tables(sqlite::Database& legacy);

}  // namespace tidegate
