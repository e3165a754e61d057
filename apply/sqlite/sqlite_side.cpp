#include "apply/sqlite/sqlite_side.hpp"

#include <algorithm>

#include "apply/sqlite/encode_back.hpp"
#include "apply/sqlite/legacy_table.hpp"

namespace tidegate {
namespace {

std::string_view view(const std::string& text) {
  return text;
}

// The form of a column that is passed on is that of the target's; others have values of SQLite's own.
ReverseTable layout_of(const ReturnedTable& table) {
  const SourceTable& source = table.source;
  ReverseTable layout;
  layout.legacy = source.name;
  if (!source.without_rowid) layout.rowid_name = source.rowid_name();
  for (const std::size_t i : writable_columns(source)) {
    const SourceColumn& described = source.columns[i];
    const ReturnSource& from = table.plan.columns[i];
    ReverseColumn form;
    if (from.kind == ReturnSource::Kind::passed)
      form.forward = table.plans[from.output].columns.at(table.place_in(from.output, from.target));
    form.forward.source = described.name;
    form.affinity = affinity_of(described.declared_type);
    form.not_null = described.not_null;
    form.is_rowid = source.integer_key && source.primary_key.front() == described.name;
    layout.columns.push_back(std::move(form));
  }
  return layout;
}

std::string all_rows_sql(const ReturnedTable& table) {
  std::string columns;
  for (const auto& name : table.relation.columns)
    columns += (columns.empty() ? "" : ", ") + sqlite::quoted(name);
  return "SELECT " + columns + " FROM " + sqlite::quoted(table.source.name);
}

std::string by_key(const SourceTable& source) {
  std::string condition;
  for (const auto& name : source.primary_key)
    condition += (condition.empty() ? " WHERE " : " AND ") + sqlite::quoted(name) + " = ?";
  return condition;
}

class SqliteRows : public LegacyRows {
 public:
  SqliteRows(SqliteSide& side, const ReturnedTable& table)
      : side_(side),
        table_(table),
        layout_(layout_of(table)),
        width_(static_cast<int>(table.relation.columns.size())) {
    auto& legacy = side.file().database();
    learn_forms(legacy, layout_);
    rows_.emplace(legacy, layout_, key_places(table.source));
    whole_.emplace(legacy.prepare(all_rows_sql(table) + by_key(table.source)));
  }

  void expect(const std::vector<Row>&) override {}
  void forget() override {}

  std::optional<HeldRow> find(const Row& key) override {
    auto held = rows_->find(key);
    if (!held) return std::nullopt;
    return HeldRow{std::move(held->row), held->rowid};
  }

  Row whole(const Row& key) override {
    Row row;
    for (std::size_t i = 0; i < key.size(); ++i) whole_->bind(static_cast<int>(i) + 1, key[i]);
    if (whole_->step()) whole_->read_row(row, 0, width_);
    whole_->reset();
    return row;
  }

  void each(const std::function<void(const Row&)>& give) override {
    auto rows = side_.file().database().prepare(all_rows_sql(table_));
    Row row;
    while (rows.step()) {
      rows.read_row(row, 0, width_);
      give(row);
    }
  }

  void each_orphan(const std::function<void(const Row&)>&) override {}  // what the target holds is written

  std::variant<Value, Misfit> back(std::size_t column, const Value& target, const Value* held) override {
    return encode_back(target, layout_.columns[column], held);
  }
  Value stored(std::size_t column, Value value) override {
    return with_affinity(std::move(value), layout_.columns[column].affinity);
  }
  Value word(std::size_t, const Value& stored) override { return stored; }

  // A new row's column gets what the legacy table says of rows without it.
  Value default_of(std::size_t column) override {
    const auto& sql = table_.source.column(layout_.columns[column].forward.source)->default_sql;
    if (!sql) return Null{};
    auto row = side_.file().database().prepare("SELECT " + *sql);
    row.step();
    return stored(column, row.value(0));
  }

  void remove(const Row&, const HeldRow& held) override { rows_->remove({held.row, held.rowid}); }
  void put(ReturnedRow row) override {
    LegacyWrite write = named(row.name);
    if (row.held) write.held = LegacyTable::Held{std::move(row.held->row), row.held->rowid};
    write.values = std::move(row.values);
    write.changed = std::move(row.changed);
    side_.writes().put(std::move(write));
  }
  void reject(const Row& name, const std::string& column, const std::string& reason) override {
    side_.writes().reject(named(name), column, reason);
  }
  void release(const Row& name) override { side_.file().release(table_.source.name, key_as_json(name)); }

 private:
  LegacyWrite named(const Row& name) { return LegacyWrite{&*rows_, name, std::nullopt, std::nullopt}; }

  SqliteSide& side_;
  const ReturnedTable& table_;
  ReverseTable layout_;
  int width_;
  std::optional<LegacyTable> rows_;
  std::optional<sqlite::Statement> whole_;
};

}  // namespace

std::unique_ptr<LegacyRows> SqliteSide::open(const ReturnedTable& table) {
  return std::make_unique<SqliteRows>(*this, table);
}

std::vector<LegacySide::Rejected> SqliteSide::rejects() {
  std::vector<Rejected> rejected;
  if (file_.rejects() == 0) return rejected;
  for (const LegacyReject& reject : list_rejects(file_.database()))
    rejected.push_back({reject.table, reject.key});
  return rejected;
}

bool SqliteSide::gives_integers(const SourceTable& table, const std::string& column) const {
  const SourceColumn* described = table.column(column);
  const Affinity affinity = affinity_of(described ? described->declared_type : "");
  return table.integer_key || affinity == Affinity::integer || affinity == Affinity::numeric;
}

// --- pairs ---

SqlitePairs::SqlitePairs(sqlite::Database& legacy)
    : legacy_(legacy),
      by_answer_(legacy.prepare("SELECT key FROM _tidegate_keys WHERE scope = ? AND answer = ?")),
      by_key_(legacy.prepare("SELECT answer FROM _tidegate_keys WHERE scope = ? AND key = ?")),
      insert_(legacy.prepare("INSERT INTO _tidegate_keys (scope, key, answer, id) VALUES (?1, ?2, ?3, ?4) ON "
                             "CONFLICT DO UPDATE SET answer = ?3")) {}

std::vector<std::string> SqlitePairs::keys_of(const std::string& scope, const std::string& answer) {
  std::vector<std::string> keys;
  by_answer_.bind_all(view(scope), view(answer));
  while (by_answer_.step()) keys.push_back(by_answer_.text(0));
  by_answer_.reset();
  return keys;
}

std::optional<std::string> SqlitePairs::answer_of(const KeyName& name) {
  std::optional<std::string> answer;
  by_key_.bind_all(view(name.scope), view(name.key));
  if (by_key_.step()) answer = by_key_.text(0);
  by_key_.reset();
  return answer;
}

void SqlitePairs::keep(const KeyName& name, const std::string& answer, std::optional<std::int64_t> id) {
  insert_.bind_all(view(name.scope), view(name.key), view(answer), id ? Value(*id) : Value(Null{})).run();
}

std::int64_t SqlitePairs::next_id(const KeyOwner& owner, std::optional<std::int64_t> last) {
  if (last) return *last + 1;
  const std::string table = sqlite::quoted(owner.table), column = sqlite::quoted(owner.column);
  auto highest =
      legacy_.prepare("SELECT max(coalesce((SELECT max(" + column + ") FROM " + table + "), 0), " +
                      (owner.autoincrement ? "coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?1), 0)"
                                           : "length(?1) * 0") +
                      ", coalesce((SELECT max(id) FROM _tidegate_keys WHERE scope = ?2), 0))");
  highest.bind_all(view(owner.table), view(owner.scope)).step();
  return highest.integer(0) + 1;
}

bool SqlitePairs::is_taken(const KeyOwner& owner, const std::string& key) {
  auto row = legacy_.prepare("SELECT 1 FROM " + sqlite::quoted(owner.table) + " WHERE " +
                             sqlite::quoted(owner.column) + " = ?");
  return row.bind_all(view(key)).step();
}

std::vector<KeyEntry> pairs_in(sqlite::Database& legacy) {
  std::vector<KeyEntry> pairs;
  if (legacy.integer("SELECT count(*) FROM sqlite_schema WHERE name = '_tidegate_keys'") == 0) return pairs;
  auto rows = legacy.prepare("SELECT scope, key, answer FROM _tidegate_keys ORDER BY scope, key");
  while (rows.step()) pairs.push_back({rows.text(0), rows.text(1), rows.text(2), ""});
  return pairs;
}

}  // namespace tidegate
