#include "apply/postgres/chunk_copier.hpp"

#include <vector>

#include "apply/postgres/chunk_loader.hpp"
#include "apply/postgres/copy_rows.hpp"
#include "apply/postgres/row_errors.hpp"
#include "apply/postgres/statements.hpp"
#include "db/error.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

constexpr std::size_t piece = 256UL * 1024;  // of a COPY: libpq keeps a copy until it is sent
constexpr std::size_t careful_rows = 5000, careful_bytes = 8 << 20;

// A row without a key is named by where it was met.
void name_by_place(Reject& reject, const ChunkToCopy& chunk, std::size_t place) {
  Row name{"chunk " + std::to_string(chunk.number) + ", rejected row " + std::to_string(place + 1)};
  reject.source_key = key_as_json(name);
  reject.key_bytes = encode(name);
}

}  // namespace

postgres::Command ChunkCopier::done(const TablePlan& plan, const ChunkToCopy& chunk,
                                    std::uint64_t rows) const {
  return {
      "UPDATE tidegate.chunks SET sequence = $4, rows = $5 WHERE pipeline = $1 AND source_table = $2 AND "
      "number = $3"
      " AND sequence IS NULL RETURNING number",
      {session_.pipeline(), plan.source_table(), std::to_string(chunk.number), std::to_string(chunk.mark),
       std::to_string(rows)}};
}

// A chunk that somebody has copied already, or planned anew, must not come a second time.
void ChunkCopier::record(const TablePlan& plan, const ChunkToCopy& chunk, std::uint64_t rows,
                         std::vector<postgres::Command> rejected) {
  rejected.push_back(with_keys(plan.from.empty() ? nullptr : session_.keys(), done(plan, chunk, rows)));
  if (session_.connection().pipeline(rejected).back().rows() == 1) return;
  throw Error("chunk " + std::to_string(chunk.number) + " of table " + plan.source_table() +
                  " is not planned any more",
              "", Advice::reconnect);
}

void ChunkCopier::send_all(ChunkSource& source) {
  buffer_.clear();
  while (source.read(buffer_)) {
    if (buffer_.size() < piece) continue;
    session_.connection().copy_data(buffer_);
    buffer_.clear();
  }
  if (!buffer_.empty()) session_.connection().copy_data(buffer_);
}

std::uint64_t ChunkCopier::pass_on(const RowMapper& mapper, const ChunkToCopy& chunk, bool binary,
                                   ChunkSource& source) {
  auto& target = session_.connection();
  WorkerTransaction transaction(session_);
  source.open(binary);
  target.copy_begin(copy_sql(mapper.plan()) + (binary ? " (FORMAT binary)" : ""));
  try {
    send_all(source);
  } catch (...) {
    target.copy_abort();
    throw;
  }
  auto rows = static_cast<std::uint64_t>(target.copy_end());
  record(mapper.plan(), chunk, rows, {});
  failpoint("chunk-before-commit");
  transaction.commit();
  failpoint("chunk-after-commit");
  return rows;
}

std::uint64_t ChunkCopier::copy_rows(const RowMapper& mapper, const std::vector<Row>& rows,
                                     std::vector<Reject>& rejects) {
  auto& target = session_.connection();
  auto lines = ChunkLoader::encode_lines(mapper, rows);
  rejects.insert(rejects.end(), lines.rejects.begin(), lines.rejects.end());
  std::uint64_t refused = 0;
  auto copy = [&](std::size_t first, std::size_t last) {
    if (mapper.plan().contributor) return contribute(mapper, lines, first, last);
    target.copy_begin(copy_sql(mapper.plan()));
    target.copy_data(
        std::string_view(lines.text).substr(lines.starts[first], lines.starts[last] - lines.starts[first]));
    target.copy_end();
  };
  bisect(target, 0, lines.rows.size(), copy, [&](std::size_t row, const Error& error) {
    ++refused;
    rejects.push_back(rejected_by_target(error, mapper.reject(*lines.rows[row])));
  });
  return lines.rows.size() - refused;
}

std::uint64_t ChunkCopier::in_blocks(ChunkSource& source,
                                     const std::function<void(const std::vector<Row>&)>& take) {
  std::vector<Row> rows;
  std::uint64_t count = 0;
  std::size_t bytes = 0;
  source.open(false);
  for (std::string line; source.read(line); line.clear()) {
    if (line.ends_with('\n')) line.pop_back();
    bytes += line.size();
    ++count;
    rows.push_back(row_of_copy_line(line));
    if (rows.size() < careful_rows && bytes < careful_bytes) continue;
    take(rows);
    rows.clear();
    bytes = 0;
  }
  take(rows);
  return count;
}

// All of it in one transaction, a block of rows in memory at a time.
std::uint64_t ChunkCopier::copy_carefully(const RowMapper& mapper, const ChunkToCopy& chunk,
                                          ChunkSource& source) {
  std::lock_guard lock(mutex_);
  quarantine_.rolled_back();
  WorkerTransaction transaction(session_);
  std::vector<Reject> rejects;
  std::uint64_t copied = 0;
  in_blocks(source, [&](const std::vector<Row>& rows) { copied += copy_rows(mapper, rows, rejects); });
  std::vector<postgres::Command> holds;
  for (std::size_t i = 0; i < rejects.size(); ++i) {
    if (mapper.relation().key.empty()) name_by_place(rejects[i], chunk, i);
    holds.push_back(quarantine_.hold(mapper.plan(), rejects[i], 0, false));
  }
  record(mapper.plan(), chunk, copied, std::move(holds));
  failpoint("chunk-before-commit");
  transaction.commit();
  failpoint("chunk-after-commit");
  quarantine_.committed();
  return copied;
}

void ChunkCopier::hold_orphans(const RowMapper& mapper, const std::vector<Row>& rows) {
  if (!orphans_) return;
  std::vector<const Row*> all;
  for (const Row& row : rows) all.push_back(&row);
  if (orphans_->have_parents(session_.connection(), mapper, all)) return;
  std::vector<Reject> written;
  for (const Row& row : rows) written.push_back(mapper.reject(row));
  orphans_->hold_orphans(session_.connection(), quarantine_, mapper.plan(), written, 0);
}

std::uint64_t ChunkCopier::copy_mapped(MappedTable& mapped, const std::deque<RowMapper>& mappers,
                                       const ChunkToCopy& chunk, ChunkSource& source) {
  std::lock_guard lock(mutex_);
  quarantine_.rolled_back();
  WorkerTransaction transaction(session_);
  std::vector<std::vector<Reject>> rejects(mappers.size());
  const std::uint64_t count = in_blocks(source, [&](const std::vector<Row>& rows) {
    const auto made = map_rows(mapped, rows);
    for (std::size_t i = 0; i < mappers.size(); ++i) {
      copy_rows(mappers[i], made[i], rejects[i]);
      hold_orphans(mappers[i], made[i]);
    }
  });
  std::vector<postgres::Command> holds;
  for (std::size_t i = 0; i < mappers.size(); ++i) {
    for (const Reject& reject : rejects[i])
      holds.push_back(quarantine_.hold(mappers[i].plan(), reject, 0, true));
  }
  record(mappers.front().plan(), chunk, count, std::move(holds));
  failpoint("chunk-before-commit");
  transaction.commit();
  failpoint("chunk-after-commit");
  quarantine_.committed();
  if (session_.keys()) session_.keys()->sent();
  return count;
}

void ChunkCopier::contribute(const RowMapper& mapper, const ChunkLoader::Lines& lines, std::size_t first,
                             std::size_t last) {
  if (first < last) session_.connection().pipeline({contribution(mapper, lines, first, last)});
}

std::uint64_t ChunkCopier::copy(const RowMapper& mapper, const ChunkToCopy& chunk, Form form,
                                ChunkSource& source) {
  if (form == Form::mapped) return copy_carefully(mapper, chunk, source);
  try {
    return pass_on(mapper, chunk, form == Form::binary, source);
  } catch (const Error& error) {
    if (!is_row_error(error)) throw;
  }
  return copy_carefully(mapper, chunk, source);
}

}  // namespace tidegate
