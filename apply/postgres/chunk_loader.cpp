#include "apply/postgres/chunk_loader.hpp"

#include <algorithm>

#include "apply/postgres/row_errors.hpp"
#include "apply/postgres/statements.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

constexpr const char* deadlock_detected = "40P01";
constexpr int most_tries = 5;

}  // namespace

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

void LoadingSession::enter() const {
  auto command = enter_();
  connection_.run(command.sql, command.parameters);
}

ChunkLoader::Lines ChunkLoader::encode_lines(const RowMapper& mapper, const std::vector<Row>& rows,
                                             Lines reuse) {
  Lines lines = std::move(reuse);
  lines.text.clear();
  lines.starts.clear();
  lines.rows.clear();
  lines.rejects.clear();
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

// Into rows that are there: COPY cannot.
postgres::Command contribution(const RowMapper& mapper, const ChunkLoader::Lines& lines, std::size_t first,
                               std::size_t last) {
  std::vector<std::string> arrays;
  Reject why;
  for (auto i = first; i < last; ++i) mapper.append_row(*lines.rows[i], arrays, why);
  std::vector<postgres::Parameter> parameters;
  for (auto& array : arrays) parameters.emplace_back(std::move(array) + "}");
  parameters.emplace_back(std::to_string(last - first));
  return {contribute_sql(mapper.plan()), std::move(parameters)};
}

void ChunkLoader::copy(const RowMapper& mapper, const Lines& lines, std::size_t first, std::size_t last) {
  if (mapper.plan().contributor) {
    if (first < last) session_.connection().pipeline({contribution(mapper, lines, first, last)});
    return;
  }
  constexpr std::size_t piece = 256UL * 1024;  // a CopyData message; libpq keeps a copy until it is sent
  auto& target = session_.connection();
  target.copy_begin(copy_sql(mapper.plan()));
  for (std::size_t at = lines.starts[first]; at < lines.starts[last];) {
    std::size_t size = std::min(piece, lines.starts[last] - at);
    target.copy_data(std::string_view(lines.text).substr(at, size));
    at += size;
  }
  copied_ = static_cast<std::uint64_t>(target.copy_end());
}

void ChunkLoader::record(const std::vector<Part>& parts, const LoadedChunk& chunk) {
  std::vector<postgres::Command> commands;
  for (const Part& part : parts) {
    for (const Reject& reject : part.lines.rejects)
      commands.push_back(quarantine_.hold(part.mapper->plan(), reject, chunk.sequence, true));
  }
  postgres::Parameter up_to;
  if (!chunk.up_to.empty()) up_to = postgres::bytea(encode(chunk.up_to));
  const std::uint64_t rows = parts.front().mapper->plan().from.empty() ? parts.front().loaded : chunk.rows;
  commands.push_back(with_keys(
      session_.keys(), {"INSERT INTO tidegate.chunks(pipeline, source_table, number, up_to, sequence, rows)"
                        " VALUES ($1, $2, $3, $4, $5, $6)",
                        {session_.pipeline(), chunk.table, std::to_string(chunk.number), up_to,
                         std::to_string(chunk.sequence), std::to_string(rows)}}));
  session_.connection().pipeline(commands);
}

void ChunkLoader::copy_all(std::vector<Part>& parts) {
  for (Part& part : parts) {
    copy(*part.mapper, part.lines, 0, part.lines.rows.size());
    part.loaded = part.mapper->plan().contributor ? part.lines.rows.size() : copied_;
  }
  session_.connection().run(check_now);
}

// A parent may come with a later chunk; then the row is tried again.
void ChunkLoader::hold_orphans(const std::vector<Part>& parts, std::uint64_t sequence) {
  if (!orphans_) return;
  for (const Part& part : parts) {
    if (orphans_->have_parents(session_.connection(), *part.mapper, part.lines.rows, known_)) {
      // What a trigger left out, or the server refused, is not there.
      const bool all = part.loaded == part.lines.rows.size() && !part.mapper->plan().contributor;
      if (known_ && all) orphans_->note_written(*part.mapper, part.lines.rows, *known_);
      continue;
    }
    if (known_) known_->forget();  // some of them may be taken out now
    std::vector<Reject> written;
    for (const Row* row : part.lines.rows) written.push_back(part.mapper->reject(*row));
    orphans_->hold_orphans(session_.connection(), quarantine_, part.mapper->plan(), written, sequence);
  }
}

void ChunkLoader::copy_carefully(Part& part) {
  const RowMapper& mapper = *part.mapper;
  part.loaded = part.lines.rows.size();
  bisect(
      session_.connection(), 0, part.lines.rows.size(),
      [&](std::size_t first, std::size_t last) { copy(mapper, part.lines, first, last); },
      [&](std::size_t row, const Error& error) {
        --part.loaded;
        part.lines.rejects.push_back(rejected_by_target(error, mapper.reject(*part.lines.rows[row])));
      });
}

void ChunkLoader::load_carefully(std::vector<Part>& parts, const LoadedChunk& chunk) {
  begin_anew();
  session_.connection().run(check_now);
  for (Part& part : parts) copy_carefully(part);
  finish(parts, chunk);
}

// In a transaction of its own: that changes no row.
bool ChunkLoader::widen_for(const RowMapper& mapper, const Lines& lines) {
  auto narrow = [&](const Reject& why) { return widen_ && is_too_narrow(mapper.plan(), why); };
  if (std::none_of(lines.rejects.begin(), lines.rejects.end(), narrow)) return false;
  begin();
  bool widened = false;
  for (const Reject& why : lines.rejects) {
    if (narrow(why)) widened |= widen_(mapper.plan().source, why.column);
  }
  open_->commit();
  open_.reset();
  return widened;
}

void ChunkLoader::fit(const RowMapper& mapper, const std::vector<Row>& rows, Lines& lines) {
  if (widen_for(mapper, lines)) lines = encode_lines(mapper, rows, std::move(lines));
}

std::uint64_t ChunkLoader::load(const RowMapper& mapper, Lines& lines, const LoadedChunk& chunk) {
  std::vector<Part> parts;
  parts.push_back({&mapper, std::move(lines)});
  load(parts, chunk);
  lines = std::move(parts.front().lines);
  return parts.front().loaded;
}

void ChunkLoader::begin() {
  open_.reset();
  open_.emplace(session_.connection());
  session_.enter();
}

void ChunkLoader::begin_anew() {
  quarantine_.rolled_back();
  if (known_) known_->rolled_back();
  begin();
}

void ChunkLoader::finish(std::vector<Part>& parts, const LoadedChunk& chunk) {
  hold_orphans(parts, chunk.sequence);
  record(parts, chunk);
  failpoint("load-before-commit");
  open_->commit();
  open_.reset();
}

void ChunkLoader::load(std::vector<Part>& parts, const LoadedChunk& chunk) {
  copy_ahead(parts);
  settle(parts, chunk);
}

void ChunkLoader::copy_ahead(std::vector<Part>& parts) {
  refused_ = false;
  try {
    begin();
    copy_all(parts);
  } catch (const Error& error) {
    open_.reset();
    if (error.code() == deadlock_detected) return;
    if (!is_row_error(error)) throw;
    refused_ = true;
  }
}

void ChunkLoader::copy_now(std::vector<Part>& parts) {
  for (int tries = 1; !open_ && !refused_; ++tries) {
    copy_ahead(parts);
    if (tries == most_tries && !open_ && !refused_)
      throw Error("the copy of a chunk met a deadlock each time", deadlock_detected, Advice::retry);
  }
}

void ChunkLoader::settle(std::vector<Part>& parts, const LoadedChunk& chunk) {
  quarantine_.rolled_back();
  if (known_) known_->rolled_back();
  copy_now(parts);
  try {
    if (!refused_) finish(parts, chunk);
  } catch (const Error& error) {
    open_.reset();
    if (!is_row_error(error)) throw;
    refused_ = true;
  }
  if (refused_) load_carefully(parts, chunk);
  failpoint("load-after-commit");
  if (session_.keys()) session_.keys()->sent();
  quarantine_.committed();
  if (known_) known_->committed();
}

}  // namespace tidegate
