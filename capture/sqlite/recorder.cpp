#include "capture/sqlite/recorder.hpp"

#include <algorithm>

#include "db/error.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

// A session holds its rows in memory (176 MB for a million updates, measured), so it is emptied into the
// outbox in between. The limits bound both the session and a journal part.
constexpr std::uint64_t max_writes_in_session = 5000;
constexpr std::int64_t max_session_bytes = 8 << 20;
constexpr std::size_t max_part_bytes = 4 << 20;

bool is_key(const Relation& relation, std::uint32_t place) {
  return std::find(relation.key.begin(), relation.key.end(), place) != relation.key.end();
}

// For SQLite's session 0.0 and -0.0 are the same.
bool changes_sign_of_zero(const Row& before, const Row& now) {
  for (std::size_t i = 0; i < now.size(); ++i) {
    auto *a = std::get_if<double>(&before[i]), *b = std::get_if<double>(&now[i]);
    if (a && b && *a == *b && !identical(before[i], now[i])) return true;
  }
  return false;
}

Change update_of(std::uint32_t relation, const Row& before, const Row& now) {
  Change change{Operation::update, relation, now, {}, {}};
  for (std::uint32_t i = 0; i < now.size(); ++i) {
    if (identical(before[i], now[i])) continue;
    change.changed.push_back(i);
    change.old.push_back(before[i]);
  }
  return change;
}

void bind_key(sqlite::Statement& statement, const Relation& relation, const Row& row, int first) {
  for (auto place : relation.key) statement.bind(first++, row[place]);
}

}  // namespace

class Recorder::TableWriter : public Differences {
 public:
  TableWriter(Recorder& recorder, const ShadowTable& table) : recorder_(recorder), table_(table) {}

  void inserted(const PlacedRow& live) override {
    if (!insert_) insert_.emplace(recorder_.state_.prepare(table_.insert_sql()));
    table_.bind_all(*insert_, live);
    insert_->run();
    recorder_.written();
  }

  void updated(const PlacedRow& shadow, const PlacedRow& live) override {
    if (!changes_sign_of_zero(shadow.row, live.row)) {
      update(live);
      return recorder_.written();
    }
    recorder_.take_changeset();
    update(live);
    recorder_.start_session();  // forgets what it took this for
    ++recorder_.changes_;
    recorder_.add(table_, update_of(table_.id(), shadow.row, live.row));
  }

  void removed(const PlacedRow& shadow) override {
    if (!remove_) remove_.emplace(recorder_.state_.prepare(table_.delete_sql()));
    bind_key(*remove_, table_.relation(), shadow.row, 1);
    remove_->run();
    require_one_row();
    recorder_.written();
  }

  // One session would take the two for an update of a row that is inserted as well.
  void replaced(const PlacedRow& shadow, const PlacedRow& live) override {
    removed(shadow);
    recorder_.take_changeset();
    inserted(live);
  }

  void moved(const PlacedRow& live) override {
    if (!move_) move_.emplace(recorder_.state_.prepare(table_.update_rowid_sql()));
    bind_key(move_->bind(1, live.rowid), table_.relation(), live.row, 2);
    move_->run();
    require_one_row();
    recorder_.written_without_event();
  }

  Row read_row(const Row& key) {
    if (!read_) read_.emplace(recorder_.state_.prepare(table_.select_shadow_row()));
    for (std::size_t i = 0; i < key.size(); ++i) read_->bind(static_cast<int>(i) + 1, key[i]);
    Row row;
    if (read_->step()) read_->read_row(row, 0, table_.width());
    read_->reset();
    return row;
  }

 private:
  void update(const PlacedRow& live) {
    if (!update_) update_.emplace(recorder_.state_.prepare(table_.update_sql()));
    int parameter = 0;
    for (std::uint32_t i = 0; i < live.row.size(); ++i) {
      if (!is_key(table_.relation(), i)) update_->bind(++parameter, live.row[i]);
    }
    if (table_.keeps_rowid()) update_->bind(++parameter, live.rowid);
    bind_key(*update_, table_.relation(), live.row, parameter + 1);
    update_->run();
    require_one_row();
  }

  void require_one_row() const {
    if (recorder_.state_.changes() == 1) return;
    throw Error(
        "the shadow of table " + table_.source().name + " has lost a row: the state database is damaged", "",
        Advice::stop);
  }

  Recorder& recorder_;
  const ShadowTable& table_;
  std::optional<sqlite::Statement> insert_, update_, remove_, move_, read_;
};

Recorder::Recorder(sqlite::Database& state, Outbox& outbox, const std::vector<ShadowTable>& tables,
                   std::uint64_t transaction, std::int64_t commit_time_us, bool continues)
    : state_(state), outbox_(outbox) {
  for (const auto& table : tables) by_name_.emplace(table.name(), &table);
  part_.transaction = transaction;
  part_.commit_time_us = commit_time_us;
  part_.first = !continues;
  start_session();
}

Recorder::~Recorder() = default;

void Recorder::start_session() {
  session_ = std::make_unique<sqlite::Session>(state_);
  for (const auto& [name, table] : by_name_) session_->attach(name);
  writes_in_session_ = 0;
}

Differences& Recorder::writer(const ShadowTable& table) {
  auto& writer = writers_[table.id()];
  if (!writer) writer = std::make_unique<TableWriter>(*this, table);
  return *writer;
}

void Recorder::written() {
  ++changes_;
  written_without_event();
}

void Recorder::written_without_event() {
  wrote_ = true;
  ++writes_in_session_;
  bool full = writes_in_session_ >= max_writes_in_session ||
              (writes_in_session_ % 64 == 0 && session_->memory_used() >= max_session_bytes);
  if (full) take_changeset();
}

void Recorder::take_changeset() {
  failpoint("capture-before-changeset");
  session_->read([this](const sqlite::SessionChange& found) {
    const ShadowTable& table = *by_name_.at(found.table);
    Change change = complete(table, found);
    bool moved_only = change.operation == Operation::update && change.changed.empty();
    if (!moved_only) add(table, std::move(change));
  });
  start_session();
}

Change Recorder::complete(const ShadowTable& table, const sqlite::SessionChange& found) {
  using Kind = sqlite::SessionChange::Kind;
  std::size_t first = table.keeps_rowid() ? 1 : 0;  // the hidden column is no part of events
  Change change;
  change.relation = table.id();
  if (found.kind != Kind::update) {
    change.operation = found.kind == Kind::insert ? Operation::insert : Operation::remove;
    const auto& values = found.kind == Kind::insert ? found.after : found.before;
    for (std::size_t i = first; i < values.size(); ++i) change.row.push_back(values[i].value());
    return change;
  }
  change.operation = Operation::update;
  for (std::uint32_t i = 0; i + first < found.after.size(); ++i) {
    if (!found.after[i + first] || is_key(table.relation(), i)) continue;
    change.changed.push_back(i);
    change.old.push_back(found.before[i + first].value());
  }
  if (change.changed.empty()) return change;
  Row key;
  for (auto place : table.relation().key) key.push_back(found.before[place + first].value());
  writer(table);
  change.row = writers_.at(table.id())->read_row(key);
  return change;
}

void Recorder::add(const ShadowTable& table, Change change) {
  if (part_bytes_ >= max_part_bytes) hand_over(false);
  bool known = std::any_of(part_.relations.begin(), part_.relations.end(),
                           [&](const Relation& relation) { return relation.id == table.id(); });
  if (!known) part_.relations.push_back(table.relation());
  part_bytes_ += size_in_memory(change);
  part_.changes.push_back(std::move(change));
}

void Recorder::hand_over(bool last) {
  part_.last = last;
  last_sequence_ = outbox_.append(part_);
  part_.first = false;
  part_.relations.clear();
  part_.changes.clear();
  part_bytes_ = 0;
}

bool Recorder::finish() {
  take_changeset();
  if (part_.first && part_.changes.empty()) return false;
  hand_over(true);
  return true;
}

}  // namespace tidegate
