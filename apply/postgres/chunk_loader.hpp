// The snapshot's way in: COPY, chunk by chunk, each with its own progress row in the same target transaction.
// A crash leaves whole chunks; the next start goes on behind the last one.
#pragma once

#include <cstdint>
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

class ChunkLoader {
 public:
  // `orphans`: none where nothing is mapped.
  ChunkLoader(TargetSession& session, Quarantine& quarantine, Widen widen = {},
              const OrphanGuard* orphans = nullptr)
      : session_(session), quarantine_(quarantine), widen_(std::move(widen)), orphans_(orphans) {}

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

  TargetSession& session_;
  Quarantine& quarantine_;
  Widen widen_;
  const OrphanGuard* orphans_;
};

// A contributor's columns of these rows.
postgres::Command contribution(const RowMapper& mapper, const ChunkLoader::Lines& lines, std::size_t first,
                               std::size_t last);

}  // namespace tidegate
