#include "apply/postgres/row_errors.hpp"

namespace tidegate {

bool is_row_error(const Error& error) {
  if (error.advice() != Advice::stop) return false;
  const std::string& state = error.code();
  return state.starts_with("22") || state.starts_with("23") || state.starts_with("54") ||
         state.starts_with("P0");
}

bool is_row_missing(const Error& error) {
  return error.code() == "P0TG1";
}

Reject rejected_by_target(const Error& error, Reject row) {
  row.column = error.column;
  row.reason = name_of(is_row_missing(error) ? Misfit::row_missing : Misfit::rejected);
  if (!is_row_missing(error)) row.sqlstate = error.code();
  row.constraint = error.constraint;
  return row;
}

std::optional<Error> attempt(postgres::Connection& target, const std::function<void()>& work) {
  target.run("SAVEPOINT tidegate_try");
  try {
    work();
  } catch (const Error& error) {
    if (!is_row_error(error)) throw;
    target.run("ROLLBACK TO SAVEPOINT tidegate_try; RELEASE SAVEPOINT tidegate_try");
    return error;
  }
  target.run("RELEASE SAVEPOINT tidegate_try");
  return std::nullopt;
}

bool attempt_ddl(postgres::Connection& target, const std::string& statement) {
  target.run("SAVEPOINT tidegate_ddl");
  try {
    target.run(statement);
  } catch (const Error& error) {
    if (error.advice() != Advice::stop || !target.usable()) throw;
    target.run("ROLLBACK TO SAVEPOINT tidegate_ddl");
    return false;
  }
  target.run("RELEASE SAVEPOINT tidegate_ddl");
  return true;
}

void bisect(postgres::Connection& target, std::size_t first, std::size_t last,
            const std::function<void(std::size_t, std::size_t)>& work,
            const std::function<void(std::size_t, const Error&)>& refuse) {
  if (first == last) return;
  auto error = attempt(target, [&] { work(first, last); });
  if (!error) return;
  if (last - first == 1) return refuse(first, *error);
  std::size_t middle = first + (last - first) / 2;
  bisect(target, first, middle, work, refuse);
  bisect(target, middle, last, work, refuse);
}

}  // namespace tidegate
