#include "apply/mapping/mapped_row.hpp"

namespace tidegate {

std::string source_key_column(std::size_t place) {
  return "_tidegate_key_" + std::to_string(place + 1);
}

std::string misfit_text(Misfit misfit, std::string_view column) {
  return std::string(name_of(misfit)) + ":" + std::string(column);
}

NamedMisfit read_misfit(std::string_view text) {
  const auto colon = text.find(':');
  const auto misfit = misfit_named(text.substr(0, colon));
  return {misfit.value_or(Misfit::expression_failed), std::string(text.substr(colon + 1))};
}

Relation mapped_relation(std::uint32_t id, std::string name, std::vector<std::string> columns,
                         std::size_t key_width) {
  Relation relation{id, std::move(name), std::move(columns), {}};
  for (std::size_t i = 0; i < key_width; ++i) {
    relation.key.push_back(static_cast<std::uint32_t>(relation.columns.size()));
    relation.columns.push_back(source_key_column(i));
  }
  relation.columns.emplace_back(misfit_column);
  return relation;
}

bool is_mapped(const Relation& relation) {
  return !relation.columns.empty() && relation.columns.back() == misfit_column;
}

std::optional<NamedMisfit> misfit_of(const Relation& relation, const Row& row) {
  if (!is_mapped(relation)) return std::nullopt;
  const auto* text = std::get_if<std::string>(&row.back());
  if (!text) return std::nullopt;
  return read_misfit(*text);
}

}  // namespace tidegate
