// Brings the shadow forward and turns what was really written to it into events: every write goes through a
// session, and its changeset, completed to whole rows, is what the outbox gets. So the journal cannot say
// anything else than what the shadow now holds.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "capture/source.hpp"
#include "capture/sqlite/compare.hpp"
#include "capture/sqlite/shadow.hpp"

namespace tidegate {

// Works inside the caller's write transaction on the state database.
class Recorder {
 public:
  // `continues`: parts of this transaction are in the outbox already, so it must be closed even without
  // changes.
  Recorder(sqlite::Database& state, Outbox& outbox, const std::vector<ShadowTable>& tables,
           std::uint64_t transaction, std::int64_t commit_time_us, bool continues);
  ~Recorder();

  // Differences of this table are written to its shadow.
  Differences& writer(const ShadowTable& table);
  // Hands the last part to the outbox. Returns false, having written nothing there, where nothing had
  // changed.
  bool finish();

  std::uint64_t changes() const { return changes_; }
  // Rowids may have been written where no event was.
  bool wrote() const { return wrote_; }
  std::uint64_t last_sequence() const { return last_sequence_; }

 private:
  class TableWriter;
  void written();
  void written_without_event();
  void take_changeset();
  Change complete(const ShadowTable& table, const sqlite::SessionChange& found);
  void add(const ShadowTable& table, Change change);
  void hand_over(bool last);
  void start_session();

  sqlite::Database& state_;
  Outbox& outbox_;
  std::unordered_map<std::string, const ShadowTable*> by_name_;
  std::unique_ptr<sqlite::Session> session_;
  std::map<std::uint32_t, std::unique_ptr<TableWriter>> writers_;
  TransactionPart part_;
  std::size_t part_bytes_ = 0;
  std::uint64_t writes_in_session_ = 0, changes_ = 0, last_sequence_ = 0;
  bool wrote_ = false;
};

}  // namespace tidegate
