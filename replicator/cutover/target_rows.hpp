// Rows of a server's table in pieces, as texts: how a way back that is built anew reads the target.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "db/postgres.hpp"
#include "proto/value.hpp"

namespace tidegate::cutover {

// The source's keys of rows that the quarantine names, as JSON and as they are: the target never took them,
// so that their absence there means nothing. `table`: as the quarantine calls it.
std::map<std::string, Row> left_out_of(postgres::Connection& target, const std::string& pipeline,
                                       const std::string& table);

// What `select` gives, row after row, on a connection that is in a transaction. Memory holds one piece.
class RowsInPieces {
 public:
  RowsInPieces(postgres::Connection& connection, const std::string& name, const std::string& select);
  RowsInPieces(const RowsInPieces&) = delete;
  RowsInPieces& operator=(const RowsInPieces&) = delete;

  // The next row into `row`; false after the last one.
  bool next(Row& row);

 private:
  postgres::Connection& connection_;
  std::string name_;
  postgres::Result piece_;
  int at_ = 0;
};

}  // namespace tidegate::cutover
