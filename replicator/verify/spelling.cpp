#include "replicator/verify/spelling.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "apply/text_format.hpp"
#include "db/error.hpp"

namespace tidegate::verify {
namespace {

std::string array_of(const std::vector<std::string>& texts, std::size_t first, std::size_t last) {
  std::string array = "{";
  for (std::size_t i = first; i < last; ++i) {
    if (i > first) array += ',';
    append_array_element(texts[i], array);
  }
  return array + "}";
}

}  // namespace

const std::string& Speller::type_of(const TablePlan& plan, std::size_t column) {
  std::string table = quoted_name(plan);
  if (relation_ != plan.source) {
    types_.clear();
    for (const auto& each : plan.columns) {
      auto row = target_.run(
          "SELECT pg_catalog.format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute"
          " WHERE attrelid = $1::pg_catalog.regclass AND attname = $2 AND NOT attisdropped",
          {table, each.target});
      if (row.rows() != 1)
        throw Error("the target's table " + table + " has no column " + each.target, "", Advice::retry);
      types_.emplace_back(row.text(0, 0));
    }
    relation_ = plan.source;
  }
  return types_.at(column);
}

// Halves what is refused, until the texts that the type does not read stand alone.
void Speller::spell_range(const std::string& type, std::vector<std::string>& texts, std::size_t first,
                          std::size_t last) {
  if (first == last) return;
  try {
    auto rows = target_.run(fmt::format("SELECT pg_catalog.format('%s', t::{}) FROM "
                                        "pg_catalog.unnest($1::text[]) WITH ORDINALITY AS u(t, n) ORDER BY n",
                                        type),
                            {array_of(texts, first, last)});
    for (std::size_t i = first; i < last; ++i) texts[i] = rows.text(static_cast<int>(i - first), 0);
  } catch (const Error& error) {
    if (!target_.usable()) throw;
    if (last - first == 1) return;
    spell_range(type, texts, first, first + (last - first) / 2);
    spell_range(type, texts, first + (last - first) / 2, last);
  }
}

std::vector<std::string> Speller::spell(const TablePlan& plan, std::size_t column,
                                        std::vector<std::string> texts) {
  spell_range(type_of(plan, column), texts, 0, texts.size());
  return texts;
}

}  // namespace tidegate::verify
