#include "apply/postgres/native/statements.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

namespace tidegate::native {
namespace {

std::string joined(const std::vector<std::string>& parts, const char* separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

std::string label(const char* what, const Columns& columns, bool flag) {
  return fmt::format("{} {} {}", what, fmt::join(columns, ","), flag);
}

std::string label(const char* what, const std::vector<bool>& nulls) {
  std::string name = what;
  for (bool null : nulls) name += null ? '0' : '1';
  return name;
}

// Fails, in the server, unless so many rows were found: COMMIT is on its way already.
std::string counted_sql(const std::string& statement, Columns::size_type parameter) {
  return fmt::format(
      "WITH found AS ({} RETURNING 1) SELECT tidegate.expect_rows(pg_catalog.count(*), ${}::bigint) FROM "
      "found",
      statement, parameter);
}

}  // namespace

Statements::Statements(TablePlan plan, std::vector<std::size_t> key, Shape shape)
    : plan_(std::move(plan)), key_(std::move(key)), shape_(std::move(shape)), table_(quoted_name(plan_)) {
  all_.resize(plan_.columns.size());
  std::iota(all_.begin(), all_.end(), 0);
}

std::string Statements::names(const Columns& columns) const {
  std::vector<std::string> names;
  for (auto column : columns) names.push_back(quoted(plan_.columns[column].target));
  return joined(names, ", ");
}

// unnest($1::bigint[], $2::text[]) AS u(c0, k0): c and k with the column's place.
std::string Statements::unnest(const Columns& columns, bool with_key, Number first) const {
  std::vector<std::string> arrays, aliases;
  auto add = [&](char prefix, std::size_t column) {
    const ColumnShape& shape = shape_.columns[column];
    arrays.push_back(fmt::format("${}::{}[]", first + arrays.size(), shape.one_by_one ? "text" : shape.type));
    aliases.push_back(fmt::format("{}{}", prefix, column));
  };
  for (auto column : columns) add('c', column);
  if (with_key) {
    for (auto column : key_) add('k', column);
  }
  return fmt::format("unnest({}) AS u({})", joined(arrays, ", "), joined(aliases, ", "));
}

std::string Statements::given(std::size_t column) const {
  const ColumnShape& shape = shape_.columns[column];
  return shape.one_by_one ? fmt::format("u.c{}::{}", column, shape.type) : fmt::format("u.c{}", column);
}

std::string Statements::matches() const {
  std::vector<std::string> parts;
  for (auto column : key_) {
    const ColumnShape& shape = shape_.columns[column];
    parts.push_back(fmt::format("t.{} {} u.k{}{}", quoted(plan_.columns[column].target),
                                shape.equality.empty() ? "=" : shape.equality, column,
                                shape.one_by_one ? "::" + shape.type : ""));
  }
  return joined(parts, " AND ");
}

std::string Statements::sets(const Columns& columns, bool with_key) const {
  std::vector<std::string> parts;
  for (auto column : columns) {
    bool is_key = std::find(key_.begin(), key_.end(), column) != key_.end();
    if (is_key ? !with_key : shape_.columns[column].identity_always) continue;
    parts.push_back(fmt::format("{} = {}", quoted(plan_.columns[column].target), given(column)));
  }
  return joined(parts, ", ");
}

std::string Statements::make_upsert() const {
  std::vector<std::string> values, sets;
  for (auto column : all_) {
    values.push_back(given(column));
    bool is_key = std::find(key_.begin(), key_.end(), column) != key_.end();
    if (is_key || shape_.columns[column].identity_always) continue;
    sets.push_back(fmt::format("{0} = excluded.{0}", quoted(plan_.columns[column].target)));
  }
  // Whoever looks whether a row was written again (apply/postgres/unowned_rows.hpp) must see it.
  if (sets.empty() && !plan_.from.empty())
    sets.push_back(fmt::format("{0} = excluded.{0}", quoted(plan_.key.front())));
  return fmt::format("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} ON CONFLICT ({}) DO {}",
                     table_, names(all_), joined(values, ", "), unnest(all_, false), names(key_),
                     sets.empty() ? "NOTHING" : "UPDATE SET " + joined(sets, ", "));
}

// A deferrable key cannot decide a conflict.
std::string Statements::make_upsert_without_arbiter() const {
  std::vector<std::string> values, same, keys;
  for (auto column : all_) values.push_back(given(column));
  for (auto column : key_) {
    same.push_back(fmt::format("found.k{0} {1} {2}", column, shape_.columns[column].equality, given(column)));
    keys.push_back(fmt::format("t.{} AS k{}", quoted(plan_.columns[column].target), column));
  }
  std::string set = sets(all_, false);
  if (set.empty() && !plan_.from.empty()) set = fmt::format("{0} = t.{0}", quoted(plan_.key.front()));
  std::string match = matches();
  for (auto column : key_) {
    std::string from = fmt::format("u.k{}", column), to = fmt::format("u.c{}", column);
    match.replace(match.find(from), from.size(), to);
  }
  std::string found =
      set.empty() ? fmt::format("SELECT {} FROM {} AS t, u WHERE {}", joined(keys, ", "), table_, match)
                  : fmt::format("UPDATE {} AS t SET {} FROM u WHERE {} RETURNING {}", table_, set, match,
                                joined(keys, ", "));
  return fmt::format(
      "WITH u AS (SELECT * FROM {}), found AS ({}) INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} "
      "FROM u WHERE NOT EXISTS (SELECT FROM found WHERE {})",
      unnest(all_, false), found, table_, names(all_), joined(values, ", "), joined(same, " AND "));
}

const std::string& Statements::upsert() {
  std::string& sql = made_["upsert"];
  if (sql.empty()) {
    sql = key_.empty() ? insert() : shape_.arbiter ? make_upsert() : make_upsert_without_arbiter();
  }
  return sql;
}

const std::string& Statements::insert() {
  std::string& sql = made_["insert"];
  if (!sql.empty()) return sql;
  std::vector<std::string> values;
  for (auto column : all_) values.push_back(given(column));
  return sql = fmt::format("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}", table_,
                           names(all_), joined(values, ", "), unnest(all_, false));
}

std::string Statements::blanks() const {
  std::string sets;
  for (auto column : all_) {
    if (std::find(key_.begin(), key_.end(), column) != key_.end()) continue;
    sets += (sets.empty() ? "" : ", ") + quoted(plan_.columns[column].target) + " = DEFAULT";
  }
  return sets;
}

const std::string& Statements::remove(bool counted) {
  std::string& sql = made_[counted ? "remove counted" : "remove"];
  if (!sql.empty()) return sql;
  std::string statement = plan_.contributor ? fmt::format("UPDATE {} AS t SET {} FROM {} WHERE {}", table_,
                                                          blanks(), unnest({}, true), matches())
                                            : fmt::format("DELETE FROM {} AS t USING {} WHERE {}", table_,
                                                          unnest({}, true), matches());
  return sql = counted ? counted_sql(statement, key_.size() + 1) : statement;
}

const std::string& Statements::update(const Columns& columns) {
  std::string& sql = made_[label("update", columns, true)];
  if (!sql.empty()) return sql;
  std::string set = sets(columns, false), key = quoted(plan_.columns[key_.front()].target);
  if (set.empty()) set = fmt::format("{0} = t.{0}", key);  // all but the key is absent: it must be found
  return sql = counted_sql(fmt::format("UPDATE {} AS t SET {} FROM {} WHERE {}", table_, set,
                                       unnest(columns, true), matches()),
                           columns.size() + key_.size() + 1);
}

std::string Statements::make_move_of_whole_row() const {
  std::vector<std::string> values;
  for (auto column : all_) values.push_back(given(column));
  return fmt::format(
      "WITH u AS (SELECT * FROM {}), moved AS (UPDATE {} AS t SET {} FROM u WHERE {} RETURNING 1) INSERT "
      "INTO "
      "{} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM u WHERE NOT EXISTS (SELECT FROM moved)",
      unnest(all_, true), table_, sets(all_, true), matches(), table_, names(all_), joined(values, ", "));
}

const std::string& Statements::move(const Columns& columns, bool counted) {
  std::string& sql = made_[label("move", columns, counted)];
  if (!sql.empty()) return sql;
  if (columns == all_) return sql = make_move_of_whole_row();
  std::string statement = fmt::format("UPDATE {} AS t SET {} FROM {} WHERE {}", table_, sets(columns, true),
                                      unnest(columns, true), matches());
  return sql = counted ? counted_sql(statement, columns.size() + key_.size() + 1) : statement;
}

std::vector<std::string> Statements::generate_key(std::string_view when) {
  std::vector<std::string> commands;
  for (auto column : key_) {
    if (!shape_.columns[column].identity_always) continue;
    commands.push_back(fmt::format("ALTER TABLE {} ALTER COLUMN {} SET GENERATED {}", table_,
                                   quoted(plan_.columns[column].target), when));
  }
  return commands;
}

// format('%s', x) is what the type's output function prints, as the source's server did. A cast to text is
// something else for boolean and char(n), and "=" is looser than that for numeric, float, citext and others,
// or does not exist.
std::string Statements::one_row(const std::vector<bool>& nulls, Number first) const {
  std::vector<std::string> parts;
  for (auto column : all_) {
    const ColumnShape& shape = shape_.columns[column];
    std::string name = "s." + quoted(plan_.columns[column].target);
    // Not IS NULL, which is true of a composite with nothing but NULLs in it.
    if (nulls[column] || !shape.exact) {
      parts.push_back(fmt::format("{} IS {}DISTINCT FROM NULL", name, nulls[column] ? "NOT " : ""));
    }
    if (nulls[column]) continue;
    if (shape.exact) parts.push_back(fmt::format("{} = ${}::{}", name, first, shape.type));
    if (shape.type == "text" || shape.type == "character varying") name += "::text";
    if (!shape.exact) {
      parts.push_back(fmt::format("pg_catalog.format('%s', {}) = ${}::text", name, first));
    } else if (name.ends_with("::text")) {
      parts.push_back(fmt::format("{} = ${}::text COLLATE \"C\"", name, first));
    }
    ++first;
  }
  return fmt::format("(t.tableoid, t.ctid) = (SELECT s.tableoid, s.ctid FROM {} AS s WHERE {} LIMIT 1)",
                     table_, joined(parts, " AND "));
}

const std::string& Statements::remove_one(const std::vector<bool>& nulls) {
  std::string& sql = made_[label("remove one ", nulls)];
  if (!sql.empty()) return sql;
  auto parameters = static_cast<Number>(std::count(nulls.begin(), nulls.end(), false));
  return sql = counted_sql(fmt::format("DELETE FROM {} AS t WHERE {}", table_, one_row(nulls, 1)),
                           parameters + 1);
}

const std::string& Statements::update_one(const std::vector<bool>& nulls) {
  std::string& sql = made_[label("update one ", nulls)];
  if (!sql.empty()) return sql;
  auto parameters = static_cast<Number>(std::count(nulls.begin(), nulls.end(), false));
  return sql = counted_sql(fmt::format("UPDATE {} AS t SET {} FROM {} WHERE {}", table_, sets(all_, false),
                                       unnest(all_, false), one_row(nulls, all_.size() + 1)),
                           all_.size() + parameters + 1);
}

}  // namespace tidegate::native
