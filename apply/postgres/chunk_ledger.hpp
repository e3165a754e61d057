// What the target knows of a Postgres source's snapshot: how each table is cut, and which chunks are there.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apply/chunk_map.hpp"
#include "apply/net_changes.hpp"
#include "apply/plan.hpp"
#include "apply/postgres/quarantine.hpp"
#include "apply/postgres/session.hpp"

namespace tidegate {

struct RecordedChunk {
  int number = 0;                     // from 1
  Row up_to;                          // by key only: the last key covered; empty: to the table's end
  std::optional<std::uint64_t> mark;  // the consistent point at which it was read; absent: not copied yet
  std::uint64_t rows = 0;
};

struct RecordedTable {
  std::vector<std::string> key;  // empty: read at once
  std::vector<KeyOrder> orders;
  std::vector<RecordedChunk> chunks;  // by number

  bool by_key() const { return !key.empty(); }
  bool whole() const;
  std::uint64_t rows() const;
};

using Ledger = std::map<std::string, RecordedTable>;  // by the source's name

Ledger read_ledger(TargetSession& session);

// One transaction: how the table is cut, nothing copied yet. What an earlier try left of a table that is read
// at once is removed, its rows in quarantine too.
// `plans`: of the relations that the source's table becomes.
void record_split(TargetSession& session, Quarantine& quarantine, const std::vector<TablePlan>& plans,
                  const RecordedTable& table);

// Of whole tables; a table that is read at once is one chunk there.
ChunkMap chunk_map_of(const Ledger& ledger);
// The same for these tables, each by its own name, though its plan records it under another.
ChunkMap chunk_map_of(const Ledger& ledger, const Plans& plans);

}  // namespace tidegate
