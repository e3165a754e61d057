#include "replicator/doctor/kept_rows.hpp"

#include <stdexcept>

namespace tidegate {

std::vector<postgres::Parameter> arrays_of(const RowMapper& mapper, std::span<const KeptRow> rows) {
  std::vector<std::string> texts(mapper.plan().columns.size(), "{");
  Reject why;
  for (const KeptRow& kept : rows) {
    if (!mapper.append_row(kept.row, texts, why)) throw std::logic_error("doctor: a row that does not fit");
  }
  std::vector<postgres::Parameter> parameters;
  for (auto& text : texts) parameters.emplace_back(text + "}");
  return parameters;
}

}  // namespace tidegate
