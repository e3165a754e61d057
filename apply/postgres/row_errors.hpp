// Telling the rows that the target refuses from those that it takes.
#pragma once

#include <cstddef>
#include <functional>

#include "apply/mapping/row_mapper.hpp"
#include "db/error.hpp"
#include "db/postgres.hpp"

namespace tidegate {

// Is this error about the data of a row, so that leaving the row out would help? (Bad value, violated
// constraint, a trigger's exception, a row or index entry that is too large.)
bool is_row_error(const Error& error);

// The server's way to say that rows were not found; see tidegate.expect_rows.
bool is_row_missing(const Error& error);

// Fills in what the server said, without its values.
Reject rejected_by_target(const Error& error, Reject row);

// Runs `work` under a savepoint; after a row error the savepoint is rolled back and the error returned.
std::optional<Error> attempt(postgres::Connection& target, const std::function<void()>& work);

// Runs a statement that may as well fail, whatever the target has against it. False: it did, and nothing was
// changed.
bool attempt_ddl(postgres::Connection& target, const std::string& statement);

// Runs work(first, last) over [first, last), and where that fails with a row error over its halves, down to
// single rows, for which refuse(row, error) is called. All within the caller's transaction.
void bisect(postgres::Connection& target, std::size_t first, std::size_t last,
            const std::function<void(std::size_t, std::size_t)>& work,
            const std::function<void(std::size_t, const Error&)>& refuse);

}  // namespace tidegate
