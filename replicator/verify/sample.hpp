// Some of a table's rows, chosen at random, with what the target has under their keys.
#pragma once

#include <random>
#include <span>
#include <string>
#include <vector>

#include "replicator/verify/shadow_lines.hpp"

namespace tidegate::verify {

struct SampledRow {
  std::string line, key, key_bytes;
};

// `count` of all rows that `lines` gives, each as likely as any other.
std::vector<SampledRow> take_sample(SourceLines& lines, std::size_t count, std::mt19937_64& random);

class ListedLines : public SourceLines {
 public:
  explicit ListedLines(std::span<const SampledRow> rows) : rows_(rows) {}
  bool next() override { return ++next_ <= rows_.size(); }
  std::string_view line() const override { return rows_[next_ - 1].line; }
  std::string key() const override { return rows_[next_ - 1].key; }
  std::string key_bytes() const override { return rows_[next_ - 1].key_bytes; }

 private:
  std::span<const SampledRow> rows_;
  std::size_t next_ = 0;
};

// What the target has under these rows' keys, merged with them.
void merge_sample(std::vector<SampledRow> rows, const TablePlan& plan, const RowOrder& order,
                  postgres::Connection& target, LineMerge& merge);

// The condition that finds these rows, for the target.
std::string keys_condition(const TablePlan& plan, const RowOrder& order, std::span<const SampledRow> rows);

}  // namespace tidegate::verify
