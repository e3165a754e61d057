#include "apply/sqlite/surplus_rows.hpp"

#include <string>
#include <utility>
#include <variant>

#include "apply/meaning.hpp"
#include "apply/sqlite/encode_back.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

constexpr const char* noted = "temp.tidegate_target_has";

// One column for each of the key, or one for the rowid.
std::string columns(std::size_t count) {
  std::string list;
  for (std::size_t i = 0; i < count; ++i) list += (i ? ", k" : "k") + std::to_string(i);
  return list;
}

std::string marks(std::size_t count) {
  std::string list;
  for (std::size_t i = 0; i < count; ++i) list += i ? ", ?" : "?";
  return list;
}

}  // namespace

std::optional<LegacyTable::Held> find_by_target_key(LegacyTable& table, const ReverseTable& plan,
                                                    const Row& key) {
  Row legacy_key;
  for (std::size_t i = 0; i < key.size(); ++i) {
    auto value = encode_back(key[i], plan.columns[table.key()[i]]);
    if (std::holds_alternative<Misfit>(value)) return std::nullopt;
    legacy_key.push_back(std::get<Value>(std::move(value)));
  }
  auto held = table.find(legacy_key);
  if (!held) return held;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const std::size_t place = table.key()[i];
    const auto* text = std::get_if<std::string>(&key[i]);
    if (!text || !means(held->row[place], *text, plan.columns[place].forward)) return std::nullopt;
  }
  return held;
}

SurplusRows::SurplusRows(LegacyFile& file, const ReverseTable& table, std::vector<std::size_t> key)
    : file_(file), table_(table), legacy_(file.database(), table, std::move(key)) {
  auto& database = file_.database();
  const std::size_t width = table_.rowid_name.empty() ? legacy_.key().size() : 1;
  const std::string all = columns(width);
  database.execute(std::string("DROP TABLE IF EXISTS ") + noted);
  database.execute(std::string("CREATE TABLE ") + noted + " (" + all + ", PRIMARY KEY (" + all +
                   ")) WITHOUT ROWID");
  noting_.emplace(database);
  note_.emplace(
      database.prepare(std::string("INSERT OR IGNORE INTO ") + noted + " VALUES (" + marks(width) + ")"));
}

void SurplusRows::target_has(const Row& key) {
  if (const auto held = find_by_target_key(legacy_, table_, key)) keep(*held);
}

void SurplusRows::keep(const LegacyTable::Held& row) {
  int place = 0;
  if (row.rowid) {
    note_->bind(1, *row.rowid);
  } else {
    for (const auto column : legacy_.key()) note_->bind(++place, row.row[column]);
  }
  note_->run();
}

std::int64_t SurplusRows::remove() {
  note_.reset();
  noting_->commit();
  noting_.reset();
  auto& database = file_.database();
  std::string same;
  for (std::size_t i = 0; table_.rowid_name.empty() && i < legacy_.key().size(); ++i)
    same += (i ? " AND k" : "k") + std::to_string(i) + " IS t." +
            sqlite::quoted(table_.columns[legacy_.key()[i]].forward.source);
  if (same.empty()) same = "k0 = t." + table_.rowid_name;
  sqlite::Transaction transaction(database, sqlite::Transaction::Kind::immediate);
  file_.enter();
  database.execute("DELETE FROM " + sqlite::quoted(table_.legacy) + " AS t WHERE NOT EXISTS (SELECT 1 FROM " +
                   noted + " WHERE " + same + ")");
  const auto removed = database.changes();
  failpoint("rebuild-before-surplus-commit");
  transaction.commit();
  database.execute(std::string("DROP TABLE ") + noted);
  return removed;
}

}  // namespace tidegate
