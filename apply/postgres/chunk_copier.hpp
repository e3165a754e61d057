// A chunk of a Postgres source on its way into the target: passed on as it comes, with its progress in the
// same transaction.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "apply/mapping/mapped_table.hpp"
#include "apply/mapping/row_mapper.hpp"
#include "apply/postgres/chunk_loader.hpp"
#include "apply/postgres/orphan_guard.hpp"
#include "apply/postgres/quarantine.hpp"
#include "apply/postgres/session.hpp"

namespace tidegate {

// Where a chunk's rows come from.
class ChunkSource {
 public:
  virtual ~ChunkSource() = default;
  // From the chunk's first row, as COPY writes it. May be called again once read() has ended.
  virtual void open(bool binary) = 0;
  // Appends a piece, in text form one line; false at the end.
  virtual bool read(std::string& into) = 0;
};

struct ChunkToCopy {
  int number = 0;
  std::uint64_t mark = 0;
};

class ChunkCopier {
 public:
  // Many copiers share one quarantine: it is used under the mutex only.
  // `orphans`: of mapped tables; none where nothing is mapped.
  ChunkCopier(WorkerSession& session, Quarantine& quarantine, std::mutex& quarantine_mutex,
              const OrphanGuard* orphans = nullptr)
      : session_(session), quarantine_(quarantine), mutex_(quarantine_mutex), orphans_(orphans) {}

  // Returns the rows that are in the target now; those that it refused are in quarantine. `raw`: the source's
  // text is the target's; else each row goes through the mapper. Throws Error; nothing of the chunk is there
  // then, unless the advice is in_doubt.
  enum class Form { binary, text, mapped };
  std::uint64_t copy(const RowMapper& mapper, const ChunkToCopy& chunk, Form form, ChunkSource& source);
  // Rows that maps make rows of several tables of: one mapper for each output. Returns the source's rows.
  // The mapped table is shared by the copiers, and used under their mutex only.
  std::uint64_t copy_mapped(MappedTable& mapped, const std::deque<RowMapper>& mappers,
                            const ChunkToCopy& chunk, ChunkSource& source);

 private:
  void send_all(ChunkSource& source);
  std::uint64_t pass_on(const RowMapper& mapper, const ChunkToCopy& chunk, bool binary, ChunkSource& source);
  std::uint64_t copy_carefully(const RowMapper& mapper, const ChunkToCopy& chunk, ChunkSource& source);
  std::uint64_t copy_rows(const RowMapper& mapper, const std::vector<Row>& rows,
                          std::vector<Reject>& rejects);
  void contribute(const RowMapper& mapper, const ChunkLoader::Lines& lines, std::size_t first,
                  std::size_t last);
  void hold_orphans(const RowMapper& mapper, const std::vector<Row>& rows);
  // Calls `take` with a block of rows at a time, until the source's end. Returns how many there were.
  static std::uint64_t in_blocks(ChunkSource& source,
                                 const std::function<void(const std::vector<Row>&)>& take);
  void record(const TablePlan& plan, const ChunkToCopy& chunk, std::uint64_t rows,
              std::vector<postgres::Command> rejected);
  postgres::Command done(const TablePlan& plan, const ChunkToCopy& chunk, std::uint64_t rows) const;

  WorkerSession& session_;
  Quarantine& quarantine_;
  std::mutex& mutex_;
  const OrphanGuard* orphans_;
  std::string buffer_;
};

}  // namespace tidegate
