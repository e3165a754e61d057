#include "apply/postgres/deferred_rows.hpp"

#include <algorithm>

#include "apply/postgres/row_errors.hpp"
#include "apply/postgres/statements.hpp"

namespace tidegate {
namespace {

// A conflict between rows of one cut is rare; what is beyond this is refused, and can be retried from the
// quarantine.
constexpr std::size_t max_waiting_bytes = std::size_t{32} << 20;
// Exchanging values parks every row of the set before each try, and a row that cannot succeed costs a try.
constexpr std::size_t max_exchanged_rows = 500;

constexpr const char* index_columns_sql = R"sql(
SELECT DISTINCT a.attname FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid AND c.relname = $2
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum > 0
WHERE i.indrelid = pg_catalog.to_regclass($1)
  AND (a.attnum = ANY (i.indkey) OR EXISTS (
    SELECT FROM pg_catalog.pg_depend d
    WHERE d.objid = i.indexrelid AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum)))sql";

bool breaks_reference(const Error& error) {
  return error.code() == "23503" || error.code() == "23001";
}

std::vector<postgres::Parameter> closed(const std::vector<std::string>& arrays) {
  std::vector<postgres::Parameter> parameters;
  for (const auto& array : arrays) parameters.push_back(array + "}");
  return parameters;
}

}  // namespace

bool DeferredRows::may_succeed_later(const Error& error) {
  return error.code() == "23505" || breaks_reference(error);
}

bool DeferredRows::add(const RowMapper& mapper, const NetRow& row, std::uint64_t sequence,
                       const Error& error) {
  if (bytes_ >= max_waiting_bytes) return false;
  bytes_ += size_in_memory(row.row);
  waiting_.push_back({mapper, row, sequence, error});
  return true;
}

void DeferredRows::forget() {
  waiting_.clear();
  bytes_ = 0;
}

void DeferredRows::forget(const RowMapper& mapper, const Row& row) {
  std::erase_if(waiting_, [&](const Waiting& waiting) {
    return waiting.mapper.plan().source == mapper.plan().source &&
           binary_order(key_of(waiting.mapper.relation(), waiting.net.row), key_of(mapper.relation(), row)) ==
               0;
  });
}

void DeferredRows::upsert(const Waiting& waiting) {
  std::vector<std::string> arrays;
  Reject why;
  waiting.mapper.append_row(waiting.net.row, arrays, why);  // fitted before, when the target refused it
  session_.connection().pipeline({{upsert_sql(waiting.mapper.plan()), closed(arrays)}});
}

void DeferredRows::remove(const Waiting& waiting) {
  std::vector<std::string> keys;
  Reject why;
  waiting.mapper.append_key(waiting.net.row, keys, why);
  for (auto& array : keys) array += '}';
  std::vector<postgres::Command> commands;
  references_.before_delete(waiting.mapper.plan(), keys, commands);
  commands.push_back({delete_sql(waiting.mapper.plan()), {keys.begin(), keys.end()}});
  session_.connection().pipeline(commands);
}

void DeferredRows::write(const Waiting& waiting) {
  if (waiting.net.remove) {
    remove(waiting);
  } else {
    upsert(waiting);
  }
  std::string key = waiting.mapper.source_key(waiting.net.row);
  const std::string& table = waiting.mapper.plan().source;
  if (quarantine_.holds(table, key)) session_.connection().pipeline({quarantine_.release(table, key)});
}

void DeferredRows::retry_until_no_progress() {
  for (std::size_t before = waiting_.size() + 1; waiting_.size() < before;) {
    before = waiting_.size();
    std::erase_if(waiting_, [this](Waiting& waiting) {
      auto error = attempt(session_.connection(), [&] { write(waiting); });
      if (error) waiting.error = *error;
      return !error;
    });
  }
}

// Rows that refer to each other in a circle pass only together.
void DeferredRows::write_with_checks_at_the_end() {
  bool any = std::any_of(waiting_.begin(), waiting_.end(),
                         [](const Waiting& waiting) { return breaks_reference(waiting.error); });
  if (!any) return;
  auto before = quarantine_.pending();
  auto error = attempt(session_.connection(), [&] {
    session_.connection().run(check_at_the_end);
    for (const Waiting& waiting : waiting_) write(waiting);
    session_.connection().run(check_now);
  });
  if (error) {
    quarantine_.restore(std::move(before));
  } else {
    waiting_.clear();
  }
}

std::vector<std::string> DeferredRows::columns_of_index(const Waiting& waiting) {
  auto rows = session_.connection().run(index_columns_sql,
                                        {quoted_name(waiting.mapper.plan()), waiting.error.constraint});
  std::vector<std::string> columns;
  for (int i = 0; i < rows.rows(); ++i) columns.emplace_back(rows.text(i, 0));
  return columns;
}

// Takes the row's old unique value out of the others' way. One column of the violated index is enough.
void DeferredRows::park(const Waiting& waiting) {
  std::vector<std::string> columns = columns_of_index(waiting), keys;
  Reject why;
  waiting.mapper.append_key(waiting.net.row, keys, why);
  for (const ColumnPlan& column : waiting.mapper.plan().columns) {
    if (std::find(columns.begin(), columns.end(), column.target) == columns.end()) continue;
    std::string sql = park_sql(waiting.mapper.plan(), column);
    if (sql.empty()) continue;
    if (!attempt(session_.connection(), [&] { session_.connection().pipeline({{sql, closed(keys)}}); }))
      return;
  }
}

// Rows that hold each other's unique values: all are parked, then all are written. If one of them is refused
// even then, everything is undone, so that no parked value stays, and the others try again without it.
void DeferredRows::exchange_through_parked_values() {
  std::vector<Waiting> refused;
  while (!waiting_.empty() && waiting_.size() <= max_exchanged_rows) {
    std::size_t at = 0;
    auto before = quarantine_.pending();
    auto error = attempt(session_.connection(), [&] {
      for (const Waiting& waiting : waiting_) {
        if (!waiting.net.remove) park(waiting);
      }
      for (at = 0; at < waiting_.size(); ++at) write(waiting_[at]);
    });
    if (!error) {
      waiting_.clear();
      break;
    }
    quarantine_.restore(std::move(before));
    waiting_[at].error = *error;
    refused.push_back(std::move(waiting_[at]));
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(at));
  }
  waiting_.insert(waiting_.end(), std::make_move_iterator(refused.begin()),
                  std::make_move_iterator(refused.end()));
}

void DeferredRows::refuse_rest() {
  for (const Waiting& waiting : waiting_) {
    Reject reject = rejected_by_target(waiting.error, waiting.mapper.reject(waiting.net.row));
    session_.connection().pipeline({quarantine_.hold(waiting.mapper.plan(), reject, waiting.sequence, true)});
  }
}

void DeferredRows::settle() {
  retry_until_no_progress();
  write_with_checks_at_the_end();
  exchange_through_parked_values();
  refuse_rest();
  forget();
}

}  // namespace tidegate
