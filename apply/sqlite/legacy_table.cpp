#include "apply/sqlite/legacy_table.hpp"

#include <algorithm>

#include "apply/schema/planner.hpp"

namespace tidegate {
namespace {

// An application has few sets of columns that it updates.
constexpr std::size_t most_updates = 64;

// What is left of a statement that failed must not hold a lock or a row.
struct ResetAtEnd {
  sqlite::Statement& statement;
  ~ResetAtEnd() { statement.reset(); }
};

void append(std::string& list, const std::string& item, const char* separator = ", ") {
  if (!list.empty()) list += separator;
  list += item;
}

std::string name_in(const ReverseTable& table, const ReverseColumn& column) {
  return column.forward.source == kRidSource ? table.rowid_name : sqlite::quoted(column.forward.source);
}

// Of what is no moment only the storage class is asked, so that large values are not read.
std::string seen_of(const ReverseColumn& column, const std::string& name) {
  if (column.is_time()) return name;
  return "CASE typeof(" + name + ") WHEN 'text' THEN '' WHEN 'blob' THEN x'' ELSE " + name + " END";
}

}  // namespace

LegacyTable::LegacyTable(sqlite::Database& legacy, const ReverseTable& table, std::vector<std::size_t> key)
    : legacy_(legacy),
      table_(table),
      key_(std::move(key)),
      has_rowid_(!table.rowid_name.empty()),
      rowid_is_column_(std::any_of(table.columns.begin(), table.columns.end(),
                                   [](const ReverseColumn& column) { return column.is_rowid; })) {
  std::string columns, by_key, marks;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    append(columns, name_of(i));
    append(marks, "?");
  }
  for (const auto place : key_) append(by_key, name_of(place) + " = ?", " AND ");
  const std::string from = " FROM " + sqlite::quoted(table.legacy);
  const std::string rowid = has_rowid_ ? ", " + table.rowid_name : "";
  const bool keeps_rowid = has_rowid_ && !rowid_is_column_;
  find_.emplace(legacy.prepare("SELECT " + columns + rowid + from + " WHERE " + by_key));
  insert_.emplace(legacy.prepare("INSERT OR ABORT INTO " + sqlite::quoted(table.legacy) + " (" + columns +
                                 (keeps_rowid ? rowid : "") + ") VALUES (" + marks +
                                 (keeps_rowid ? ", ?)" : ")")));
  remove_.emplace(legacy.prepare("DELETE" + from + where_held()));
}

std::string LegacyTable::name_of(std::size_t column) const {
  return name_in(table_, table_.columns[column]);
}

std::string LegacyTable::where_held() const {
  if (has_rowid_) return " WHERE " + table_.rowid_name + " = ?";
  std::string by_key;
  for (const auto place : key_) append(by_key, name_of(place) + " = ?", " AND ");
  return " WHERE " + by_key;
}

void LegacyTable::bind_held(sqlite::Statement& statement, int parameter, const Held& held) const {
  if (has_rowid_) {
    statement.bind(parameter, *held.rowid);
    return;
  }
  for (const auto place : key_) statement.bind(parameter++, held.row[place]);
}

std::optional<LegacyTable::Held> LegacyTable::find(const Row& key) {
  ResetAtEnd reset{*find_};
  for (std::size_t i = 0; i < key.size(); ++i) find_->bind(static_cast<int>(i) + 1, key[i]);
  if (!find_->step()) return std::nullopt;
  Held held;
  const int width = static_cast<int>(table_.columns.size());
  find_->read_row(held.row, 0, width);
  if (has_rowid_) held.rowid = find_->integer(width);
  return held;
}

void LegacyTable::insert(const Row& values, std::optional<std::int64_t> rowid) {
  ResetAtEnd reset{*insert_};
  int parameter = 0;
  for (const Value& value : values) insert_->bind(++parameter, value);
  if (has_rowid_ && !rowid_is_column_) {
    insert_->bind(++parameter, rowid ? Value(*rowid) : Value(Null{}));
  }
  insert_->run();
}

sqlite::Statement& LegacyTable::update_of(const std::vector<std::size_t>& changed) {
  std::string set;
  for (const auto place : changed) append(set, name_of(place) + " = ?");
  if (auto known = updates_.find(set); known != updates_.end()) return known->second;
  if (updates_.size() >= most_updates) updates_.clear();
  const std::string sql = "UPDATE OR ABORT " + sqlite::quoted(table_.legacy) + " SET " + set + where_held();
  return updates_.emplace(set, legacy_.prepare(sql)).first->second;
}

void LegacyTable::update(const Held& held, const Row& values, const std::vector<std::size_t>& changed) {
  sqlite::Statement& update = update_of(changed);
  ResetAtEnd reset{update};
  int parameter = 0;
  for (const auto place : changed) update.bind(++parameter, values[place]);
  bind_held(update, ++parameter, held);
  update.run();
}

void LegacyTable::remove(const Held& held) {
  ResetAtEnd reset{*remove_};
  bind_held(*remove_, 1, held);
  remove_->run();
}

void LegacyTable::remove_all() {
  legacy_.execute("DELETE FROM " + sqlite::quoted(table_.legacy));
}

void learn_forms(sqlite::Database& legacy, ReverseTable& table) {
  std::string columns;
  for (const auto& column : table.columns) append(columns, seen_of(column, name_in(table, column)));
  std::string newest = table.rowid_name.empty() ? "" : " ORDER BY " + table.rowid_name + " DESC";
  auto rows =
      legacy.prepare("SELECT " + columns + " FROM " + sqlite::quoted(table.legacy) + newest + " LIMIT 1000");
  while (rows.step()) {
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
      ReverseColumn& column = table.columns[i];
      learn(column.form, rows.value(static_cast<int>(i)), column.is_time());
    }
  }
}

}  // namespace tidegate
