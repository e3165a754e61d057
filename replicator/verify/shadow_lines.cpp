#include "replicator/verify/shadow_lines.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>

#include "apply/postgres/copy_line.hpp"
#include "apply/text_format.hpp"

namespace tidegate::verify {
namespace {

constexpr std::int64_t least = INT64_MIN, most = INT64_MAX;

bool is_whole(const IntegerRange& range) {
  return !range.after && !range.up_to;
}

// The first key that belongs to the range.
std::int64_t first_of(const IntegerRange& range) {
  return range.after ? *range.after + 1 : least;
}

}  // namespace

ShadowLines::ShadowLines(sqlite::Database& shadow, const ShadowTable& table, const RowMapper& mapper,
                         const IntegerRange& range, OnMisfit misfit)
    : mapper_(mapper),
      misfit_(std::move(misfit)),
      rows_(shadow.prepare(
          table.select_shadow(is_whole(range) ? ShadowTable::Rows::all : ShadowTable::Rows::in_rowid_range))),
      width_(table.width()) {
  if (!is_whole(range)) rows_.bind(1, first_of(range)).bind(2, range.up_to.value_or(most));
}

bool ShadowLines::next() {
  while (rows_.step()) {
    rows_.read_row(row_, 0, width_);
    line_.clear();
    Reject why;
    if (mapper_.append_copy_line(row_, line_, why)) return true;
    misfit_(why);
  }
  return false;
}

// So many rows are spelt in one round trip.
struct SortedLines::Batch {
  static constexpr std::size_t most = 5000, most_bytes = 4 << 20;
  struct Row {
    std::vector<std::string> fields;  // escaped
    std::string key, key_bytes;
  };
  std::vector<Row> rows;
  std::size_t bytes = 0;
  bool full() const { return rows.size() >= most || bytes >= most_bytes; }
};

namespace {

// Nobody else can open what has no name any more; no journal, since it is never read after a crash.
std::unique_ptr<sqlite::Database> nameless_file(const std::string& folder) {
  static std::atomic<int> counter = 0;
  std::string path = fmt::format("{}/verify-{}-{}.sort", folder, getpid(), ++counter);
  auto file =
      std::make_unique<sqlite::Database>(path, sqlite::Database::Mode::create, std::chrono::seconds(1));
  file->execute(
      "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;"
      "PRAGMA cache_size = -32768; BEGIN");
  return file;
}

}  // namespace

SortedLines::SortedLines(SourceLines& lines, const TablePlan& plan, const RowOrder& order, Speller& speller,
                         const std::string& folder)
    : plan_(plan), order_(order), speller_(speller), file_(nameless_file(folder)) {
  std::vector<std::string> columns, parameters;
  for (std::size_t i = 0; i < order.key().size(); ++i) columns.push_back(fmt::format("k{}", i));
  parameters.assign(columns.size(), "?");
  std::string key = fmt::format("{}", fmt::join(columns, ", "));
  file_->execute(fmt::format(
      "CREATE TABLE sorted ({0}, n, line, shown, bytes, PRIMARY KEY ({0}, n)) WITHOUT ROWID", key));
  std::filesystem::remove(file_->path());
  insert_.emplace(
      file_->prepare(fmt::format("INSERT INTO sorted VALUES ({}, ?, ?, ?, ?)", fmt::join(parameters, ", "))));
  fill(lines);
  rows_.emplace(file_->prepare(fmt::format("SELECT line, shown, bytes FROM sorted ORDER BY {}, n", key)));
}

SortedLines::~SortedLines() = default;

void SortedLines::fill(SourceLines& lines) {
  Batch batch;
  std::vector<std::string_view> fields;
  while (lines.next()) {
    split_fields(lines.line(), fields);
    batch.rows.push_back({{fields.begin(), fields.end()}, lines.key(), lines.key_bytes()});
    batch.bytes += lines.line().size();
    if (batch.full()) write(batch);
  }
  write(batch);
}

// With the key as the target prints it, in the line too.
void SortedLines::write(Batch& batch) {
  for (auto column : order_.key()) {
    std::vector<std::string> texts;
    for (const auto& row : batch.rows) texts.push_back(field_value(row.fields[column]).value_or(""));
    texts = speller_.spell(plan_, column, std::move(texts));
    for (std::size_t i = 0; i < texts.size(); ++i) {
      batch.rows[i].fields[column].clear();
      copy_escape(texts[i], batch.rows[i].fields[column]);
    }
  }
  for (const auto& row : batch.rows) {
    int parameter = 0;
    for (auto column : order_.key())
      insert_->bind_blob(++parameter, field_value(row.fields[column]).value_or(""));
    insert_->bind(++parameter, ++written_);
    insert_->bind_blob(++parameter, fmt::format("{}\n", fmt::join(row.fields, "\t")));
    insert_->bind(++parameter, std::string_view(row.key));
    insert_->bind_blob(++parameter, row.key_bytes).run();
  }
  batch = {};
}

bool SortedLines::next() {
  if (!rows_->step()) return false;
  line_.assign(rows_->bytes(0));
  return true;
}

namespace {

std::string condition(const TablePlan& plan, const IntegerRange& range) {
  std::vector<std::string> where;
  std::string key = tidegate::quoted(plan.key.front());
  if (range.after) where.push_back(fmt::format("{} > {}", key, *range.after));
  if (range.up_to) where.push_back(fmt::format("{} <= {}", key, *range.up_to));
  return fmt::format("{}", fmt::join(where, " AND "));
}

}  // namespace

CopiedLines::CopiedLines(postgres::Connection& target, const TablePlan& plan, const RowOrder& order,
                         const IntegerRange& range)
    : CopiedLines(target, plan, order, condition(plan, range)) {}

CopiedLines::CopiedLines(postgres::Connection& target, const TablePlan& plan, const RowOrder& order,
                         const std::string& where)
    : target_(target) {
  std::vector<std::string> columns;
  for (const auto& column : plan.columns) columns.push_back(tidegate::quoted(column.target));
  target_.copy_out_begin(fmt::format("COPY (SELECT {} FROM {}{}{} ORDER BY {}) TO STDOUT",
                                     fmt::join(columns, ", "), quoted_name(plan),
                                     where.empty() ? "" : " WHERE ", where, order.sql()));
}

bool CopiedLines::next() {
  line_.clear();
  return target_.copy_read(line_);
}

}  // namespace tidegate::verify
