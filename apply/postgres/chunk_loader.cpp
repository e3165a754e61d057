#include "apply/postgres/chunk_loader.hpp"

#include <algorithm>

#include "apply/postgres/row_errors.hpp"
#include "apply/postgres/statements.hpp"
#include "db/failpoint.hpp"

namespace tidegate {

std::vector<LoadedChunk> loaded_chunks(TargetSession& session) {
  auto rows = session.connection().run(
      "SELECT source_table, number, up_to, sequence, rows, complete FROM tidegate.chunks WHERE pipeline = $1"
      " ORDER BY source_table, number",
      {session.pipeline()});
  std::vector<LoadedChunk> chunks;
  for (int i = 0; i < rows.rows(); ++i) {
    Row up_to;
    if (!rows.is_null(i, 2)) up_to = decode_row(postgres::from_bytea(rows.text(i, 2)));
    chunks.push_back({std::string(rows.text(i, 0)), static_cast<int>(rows.integer(i, 1)), std::move(up_to),
                      static_cast<std::uint64_t>(rows.integer(i, 3)),
                      static_cast<std::uint64_t>(rows.integer(i, 4)), rows.boolean(i, 5)});
  }
  return chunks;
}

ChunkLoader::Lines ChunkLoader::encode_lines(const RowMapper& mapper, const std::vector<Row>& rows) {
  Lines lines;
  for (const Row& row : rows) {
    Reject why;
    std::size_t start = lines.text.size();
    if (mapper.append_copy_line(row, lines.text, why)) {
      lines.starts.push_back(start);
      lines.rows.push_back(&row);
    } else {
      lines.rejects.push_back(std::move(why));
    }
  }
  lines.starts.push_back(lines.text.size());
  return lines;
}

void ChunkLoader::copy(const RowMapper& mapper, const Lines& lines, std::size_t first, std::size_t last) {
  constexpr std::size_t piece = 256UL * 1024;  // a CopyData message; libpq keeps a copy until it is sent
  auto& target = session_.connection();
  target.copy_begin(copy_sql(mapper.plan()));
  for (std::size_t at = lines.starts[first]; at < lines.starts[last];) {
    std::size_t size = std::min(piece, lines.starts[last] - at);
    target.copy_data(std::string_view(lines.text).substr(at, size));
    at += size;
  }
  target.copy_end();
}

void ChunkLoader::record(const RowMapper& mapper, const std::vector<Reject>& rejects,
                         const LoadedChunk& chunk, std::uint64_t rows) {
  std::vector<postgres::Command> commands;
  for (const Reject& reject : rejects) {
    commands.push_back(quarantine_.hold(mapper.plan(), reject, chunk.sequence, true));
  }
  postgres::Parameter up_to;
  if (!chunk.up_to.empty()) up_to = postgres::bytea(encode(chunk.up_to));
  commands.push_back(
      {"INSERT INTO tidegate.chunks(pipeline, source_table, number, up_to, sequence, rows)"
       " VALUES ($1, $2, $3, $4, $5, $6)",
       {session_.pipeline(), chunk.table, std::to_string(chunk.number), up_to, std::to_string(chunk.sequence),
        std::to_string(rows)}});
  session_.connection().pipeline(commands);
}

std::uint64_t ChunkLoader::load_carefully(const RowMapper& mapper, Lines& lines, const LoadedChunk& chunk) {
  TargetTransaction transaction(session_);
  session_.connection().run(check_now);
  std::size_t refused = 0;
  bisect(
      session_.connection(), 0, lines.rows.size(),
      [&](std::size_t first, std::size_t last) { copy(mapper, lines, first, last); },
      [&](std::size_t row, const Error& error) {
        ++refused;
        lines.rejects.push_back(rejected_by_target(error, mapper.reject(*lines.rows[row])));
      });
  std::uint64_t rows = lines.rows.size() - refused;
  record(mapper, lines.rejects, chunk, rows);
  transaction.commit();
  return rows;
}

// In a transaction of its own: that changes no row.
bool ChunkLoader::widen_for(const RowMapper& mapper, const Lines& lines) {
  auto narrow = [&](const Reject& why) { return widen_ && is_too_narrow(mapper.plan(), why); };
  if (std::none_of(lines.rejects.begin(), lines.rejects.end(), narrow)) return false;
  TargetTransaction transaction(session_);
  bool widened = false;
  for (const Reject& why : lines.rejects) {
    if (narrow(why)) widened |= widen_(mapper.plan().source, why.column);
  }
  transaction.commit();
  return widened;
}

void ChunkLoader::fit(const RowMapper& mapper, const std::vector<Row>& rows, Lines& lines) {
  if (widen_for(mapper, lines)) lines = encode_lines(mapper, rows);
}

std::uint64_t ChunkLoader::load(const RowMapper& mapper, Lines& lines, const LoadedChunk& chunk) {
  std::uint64_t loaded = lines.rows.size();
  quarantine_.rolled_back();
  try {
    TargetTransaction transaction(session_);
    copy(mapper, lines, 0, lines.rows.size());
    session_.connection().run(check_now);
    record(mapper, lines.rejects, chunk, loaded);
    failpoint("load-before-commit");
    transaction.commit();
  } catch (const Error& error) {
    if (!is_row_error(error)) throw;
    quarantine_.rolled_back();
    loaded = load_carefully(mapper, lines, chunk);
  }
  failpoint("load-after-commit");
  quarantine_.committed();
  return loaded;
}

}  // namespace tidegate
