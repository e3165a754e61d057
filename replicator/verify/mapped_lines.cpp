#include "replicator/verify/mapped_lines.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "apply/postgres/copy_rows.hpp"

namespace tidegate::verify {

ShadowRows::ShadowRows(sqlite::Database& shadow, const ShadowTable& table)
    : rows_(shadow.prepare(table.select_shadow(ShadowTable::Rows::all))), width_(table.width()) {}

bool ShadowRows::next() {
  if (!rows_.step()) return false;
  rows_.read_row(row_, 0, width_);
  return true;
}

CopiedRows::CopiedRows(postgres::Connection& source, const capture::PostgresTable& table,
                       const Relation& relation)
    : source_(source) {
  std::vector<std::string> columns;
  for (const auto& column : relation.columns) columns.push_back(tidegate::quoted(column));
  source_.copy_out_begin(fmt::format("COPY (SELECT {} FROM {}{}) TO STDOUT", fmt::join(columns, ", "),
                                     table.partitioned ? "" : "ONLY ",
                                     capture::quoted_name(table.schema, table.name)));
}

bool CopiedRows::next() {
  line_.clear();
  if (!source_.copy_read(line_)) return false;
  if (line_.ends_with('\n')) line_.pop_back();
  row_ = row_of_copy_line(line_);
  return true;
}

MappedLines::MappedLines(SourceRows& rows, MappedTable& mapped, const RowMapper& mapper, const Held& held,
                         OnMisfit left_out)
    : rows_(rows), mapped_(mapped), mapper_(mapper), held_(held), left_out_(std::move(left_out)) {}

bool MappedLines::is_held_nowhere(const Row& row) const {
  if (held_.empty()) return false;
  const auto found = held_.find(mapper_.source_key(row));
  return found != held_.end() && !found->second.on_target;
}

bool MappedLines::next() {
  while (rows_.next()) {
    mapped_.map_row(rows_.row(), made_);
    std::optional<Row>& made = made_.front();
    if (!made) continue;
    line_.clear();
    Reject why;
    if (is_held_nowhere(*made)) {
      left_out_(mapper_.reject(*made));
    } else if (mapper_.append_copy_line(*made, line_, why)) {
      row_ = std::move(*made);
      return true;
    } else {
      left_out_(why);
    }
  }
  return false;
}

}  // namespace tidegate::verify
