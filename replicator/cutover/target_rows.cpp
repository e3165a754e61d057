#include "replicator/cutover/target_rows.hpp"

#include "apply/postgres/orphan_guard.hpp"
#include "proto/change.hpp"

namespace tidegate::cutover {
namespace {

constexpr const char* piece_size = "1000";

}  // namespace

std::map<std::string, Row> left_out_of(postgres::Connection& target, const std::string& pipeline,
                                       const std::string& table) {
  const auto held = target.run(
      "SELECT source_key, key_bytes FROM tidegate.quarantine WHERE pipeline = $1 AND source_table = $2",
      {pipeline, table});
  std::map<std::string, Row> keys;
  for (int i = 0; i < held.rows(); ++i)
    if (!is_key_of_target(held.text(i, 0)))
      keys.emplace(held.text(i, 0), decode_row(postgres::from_bytea(held.text(i, 1))));
  return keys;
}

RowsInPieces::RowsInPieces(postgres::Connection& connection, const std::string& name,
                           const std::string& select)
    : connection_(connection), name_(name), piece_(nullptr) {
  connection_.run("DECLARE " + name_ + " NO SCROLL CURSOR FOR " + select);
  piece_ = connection_.run(std::string("FETCH ") + piece_size + " FROM " + name_);
}

bool RowsInPieces::next(Row& row) {
  if (at_ == piece_.rows()) {
    if (at_ > 0) piece_ = connection_.run(std::string("FETCH ") + piece_size + " FROM " + name_);
    at_ = 0;
    if (piece_.rows() == 0) return connection_.run("CLOSE " + name_), false;
  }
  row.clear();
  for (int column = 0; column < piece_.columns(); ++column)
    row.push_back(piece_.is_null(at_, column) ? Value() : Value(std::string(piece_.text(at_, column))));
  ++at_;
  return true;
}

}  // namespace tidegate::cutover
