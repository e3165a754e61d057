// The layout of a mapped row: the target's columns, the key of the source row, and a word on what failed.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apply/plan.hpp"
#include "proto/change.hpp"

namespace tidegate {

// The hidden last column: NULL, or why the row cannot be written, as misfit_text() says it.
inline constexpr std::string_view misfit_column = "_tidegate_misfit";
// Hidden columns before it, with the source row's key: `_tidegate_key_1`, …
std::string source_key_column(std::size_t place);

// `column`: of the target.
std::string misfit_text(Misfit misfit, std::string_view column);
struct NamedMisfit {
  Misfit misfit;
  std::string column;
};
NamedMisfit read_misfit(std::string_view text);

// The relation of mapped rows, keyed by the source row's key.
Relation mapped_relation(std::uint32_t id, std::string name, std::vector<std::string> columns,
                         std::size_t key_width);
bool is_mapped(const Relation& relation);
// What the row's misfit column says; nothing for rows that are not mapped.
std::optional<NamedMisfit> misfit_of(const Relation& relation, const Row& row);

}  // namespace tidegate
