// SQLite capture: one read snapshot of the live file at a time (a cut), compared with the shadow; what
// differs becomes one source transaction in the outbox, in the same transaction of the state database that
// moves the shadow. A crash at any point leaves the shadow and the journal at the last cut; the next start
// compares everything.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "capture/source.hpp"
#include "capture/sqlite/measuring.hpp"
#include "capture/sqlite/narrowing/snapshot_chain.hpp"
#include "capture/sqlite/shadow.hpp"
#include "db/error.hpp"

namespace tidegate {

// The source's schema changed in a way that an operator must look at. Capture has not moved; nothing is lost.
class SchemaNeedsOperator : public Refused {
 public:
  using Refused::Refused;
};

class Recorder;

// The state of one cut, held open for somebody else: the live file and the shadow, which are alike if capture
// was right. Used by one thread at a time.
struct HeldCut {
  std::unique_ptr<sqlite::Database> live;  // in a read transaction, query_only; null without WAL: there the
                                           // cut itself has compared every row
  std::vector<std::unique_ptr<sqlite::Database>> shadows;  // each in a read transaction on the state database
  std::uint64_t sequence = 0;                              // the outbox' end in it
};

class SqliteCapture {
 public:
  // `state` is written by this object and by `outbox` only, both on this thread. Makes its tables there.
  SqliteCapture(const CaptureOptions& options, sqlite::Database& state, Outbox& outbox);
  ~SqliteCapture();

  // What every table holds. As long as nothing of the shadow can have been read, its tables are made anew,
  // and empty, after these; in one transaction, so a crash leaves the tables of before.
  std::vector<FilledTable> begin_fill(const ReadProgress& progress);
  // The shadow's tables are there.
  bool fill_begun();
  // Copies every table into the shadow from one read snapshot (shadow_fill.hpp). Goes on where an earlier
  // call ended; what was filled from several snapshots, or has another schema by now, is made one state of
  // the source by a cut, before filled() is true. Without WAL throws Refused where reading takes over 100 ms.
  // `progress` is called after each step, when that can be read.
  void fill(const ReadProgress& progress);
  bool filled();

  struct Cut {
    bool changed = false;
    std::uint64_t last_sequence = 0;  // of its last part, where changed
    std::uint64_t changes = 0, rows_compared = 0;
    std::string everything_because;  // why narrowing could not say where to look; empty where it could
    std::chrono::microseconds duration{0};
  };
  // Did anyone commit since the last cut's snapshot was taken? Cheap; may say yes too often, never no
  // wrongly.
  bool source_moved() { return chain_->changed(); }
  // The snapshot that is held makes the application's commits slow from now on: a cut should come soon.
  bool slows_writers() { return chain_->reads_file_alone() && source_moved(); }
  // How soon to ask again.
  std::chrono::microseconds poll_interval() const;
  // To be called while nothing moves: lets the application's WAL start over.
  void tend() { chain_->tend(); }
  // Throws SchemaNeedsOperator; Error with Advice::retry where the file could not be read just now.
  Cut cut() { return cut(nullptr); }
  // The next cut compares every row.
  void look_everywhere() { chain_->release(); }
  // A cut whose state is held. Null where the live file's snapshot could not be had at the very same commit:
  // to be tried again. `readers`: how many connections to the shadow.
  std::unique_ptr<HeldCut> cut_and_hold(Cut& cut, int readers);

  // While the application is fenced and the way back has come to rest: what that wrote into the live file
  // goes into the shadow without events, so that it does not come forward as an echo. Compares `everything`,
  // or what can have changed since the last absorb or cut. One transaction of the state database, so a crash
  // leaves all or nothing of it, and it can be repeated. Keeps its snapshot, as a cut does. Returns the rows
  // that differed. Throws SchemaNeedsOperator where the schema changed.
  std::uint64_t absorb(bool everything = true);

  const std::vector<ShadowTable>& tables() const { return tables_; }

 private:
  // How far the outbox is: the last transaction that capture began, and whether its last part is still to
  // come.
  struct Reached {
    std::uint64_t transaction = 0;
    bool open = false;
  };
  sqlite_wal::SnapshotChain::Cut snapshot(sqlite::Database* twin = nullptr);
  Cut cut(HeldCut* held);
  bool same_schema(sqlite::Database& live);
  void fill_tables(const sqlite_wal::SnapshotChain::Cut& live, const ReadProgress& progress);
  void fill_without_wal(const sqlite_wal::SnapshotChain::Cut& live, const ReadProgress& progress);
  std::vector<ShadowTable> tables_to_fill();
  void leave_unfilled();
  void carry_schema_changes(sqlite::Database& live);
  void refuse_schema_changes(sqlite::Database& live);
  bool take_over(const SourceTable& now);
  void compare(const sqlite_wal::SnapshotChain::Cut& live, Recorder& recorder, Cut& cut);
  void compare_one(const ShadowTable& table, const sqlite_wal::TableLook& look, sqlite::Database& live,
                   Recorder& recorder, Cut& cut);
  bool record(const sqlite_wal::SnapshotChain::Cut& live, Cut& cut);
  Recorder recorder(Outbox& outbox);
  std::uint64_t transaction_under_way() const;
  void save(const Reached& reached);

  CaptureOptions options_;
  sqlite::Database& state_;
  Outbox& outbox_;
  std::unique_ptr<sqlite_wal::SnapshotChain> chain_;
  std::unique_ptr<sqlite::Database> shadow_;
  std::vector<ShadowTable> tables_;
  Reached reached_;   // as committed
  bool wal_ = false;  // as the last snapshot found the file
  std::int64_t schema_version_ = -1;
};

}  // namespace tidegate
