// The snapshot's way in: COPY, chunk by chunk, each with its own progress row in the same target transaction.
// A crash leaves whole chunks; the next start goes on behind the last one.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apply/mapping/row_mapper.hpp"
#include "apply/postgres/orphan_guard.hpp"
#include "apply/postgres/quarantine.hpp"
#include "apply/postgres/session.hpp"
#include "apply/postgres/widening.hpp"

namespace tidegate {

struct LoadedChunk {
  std::string table;
  int number = 0;
  Row up_to;  // the last key covered; empty: to the table's end
  std::uint64_t sequence = 0, rows = 0;
  bool complete = true;  // false: copied without columns that the table got meanwhile
};

// All that are recorded, by table and number.
std::vector<LoadedChunk> loaded_chunks(TargetSession& session);

// The connection that chunks go through: the lease's own, or a worker's beside it.
class LoadingSession {
 public:
  template <class Session>
  LoadingSession(Session& session)  // NOLINT(google-explicit-constructor)
      : connection_(session.connection()),
        pipeline_(session.pipeline()),
        keys_(session.keys()),
        enter_([&session] { return session.enter(); }) {}

  postgres::Connection& connection() const { return connection_; }
  const std::string& pipeline() const { return pipeline_; }
  KeyOutbox* keys() const { return keys_; }
  void enter() const;  // first within every transaction

 private:
  postgres::Connection& connection_;
  const std::string& pipeline_;
  KeyOutbox* keys_;
  std::function<postgres::Command()> enter_;
};

class ChunkLoader {
 public:
  // `orphans`: none where nothing is mapped. `known`: where nobody else takes rows of the target away.
  ChunkLoader(LoadingSession session, Quarantine& quarantine, Widen widen = {},
              const OrphanGuard* orphans = nullptr, KnownParents* known = nullptr)
      : session_(std::move(session)),
        quarantine_(quarantine),
        widen_(std::move(widen)),
        orphans_(orphans),
        known_(known) {}

  // Rows as COPY takes them; those that do not fit apart. Points into the rows that it was made from.
  struct Lines {
    std::string text;
    std::vector<std::size_t> starts;  // one more than lines
    std::vector<const Row*> rows;
    std::vector<Reject> rejects;
  };
  // Pure, so that the next chunk can be encoded while one is being copied. `reuse` gives its memory.
  static Lines encode_lines(const RowMapper& mapper, const std::vector<Row>& rows, Lines reuse = {});
  // Widens columns that the rows need wider, and encodes them again. Changes the mapper's plan: nobody may be
  // encoding by it.
  void fit(const RowMapper& mapper, const std::vector<Row>& rows, Lines& lines);

  // What one chunk of the source's rows is in one target table.
  struct Part {
    const RowMapper* mapper;
    Lines lines;
    std::uint64_t loaded = 0;  // rows that are in the target now; filled by load()
  };
  // The same for a chunk whose rows become rows of several tables. `chunk.rows` says how many it had.
  void load(std::vector<Part>& parts, const LoadedChunk& chunk);
  // load() in two steps, for loaders that work side by side: the first beside each other, the second in the
  // order of the chunks, one at a time. Between them the transaction is open, unless it was the victim of a
  // deadlock; let_go() ends it. Where it is not open, settle() does all of it.
  void copy_ahead(std::vector<Part>& parts);
  bool is_ahead() const { return open_.has_value(); }
  void let_go() { open_.reset(); }
  void settle(std::vector<Part>& parts, const LoadedChunk& chunk);

  // Rows that do not fit go to the quarantine in the same transaction. Returns the rows that are in the
  // target now. Throws Error; nothing of the chunk is there then, unless the advice is in_doubt.
  std::uint64_t load(const RowMapper& mapper, Lines& lines, const LoadedChunk& chunk);

 private:
  bool widen_for(const RowMapper& mapper, const Lines& lines);
  void copy(const RowMapper& mapper, const Lines& lines, std::size_t first, std::size_t last);
  void copy_all(std::vector<Part>& parts);
  void load_carefully(std::vector<Part>& parts, const LoadedChunk& chunk);
  void copy_carefully(Part& part);
  void hold_orphans(const std::vector<Part>& parts, std::uint64_t sequence);
  void record(const std::vector<Part>& parts, const LoadedChunk& chunk);
  void finish(std::vector<Part>& parts, const LoadedChunk& chunk);
  void copy_now(std::vector<Part>& parts);
  void begin();
  void begin_anew();

  LoadingSession session_;
  std::optional<postgres::Transaction> open_;
  bool refused_ = false;      // a row of what was copied ahead
  std::uint64_t copied_ = 0;  // rows that the last COPY wrote
  Quarantine& quarantine_;
  Widen widen_;
  const OrphanGuard* orphans_;
  KnownParents* known_;
};

// A contributor's columns of these rows.
postgres::Command contribution(const RowMapper& mapper, const ChunkLoader::Lines& lines, std::size_t first,
                               std::size_t last);

}  // namespace tidegate
