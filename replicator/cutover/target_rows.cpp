#include "replicator/cutover/target_rows.hpp"

namespace tidegate::cutover {
namespace {

constexpr const char* piece_size = "1000";

}  // namespace

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
