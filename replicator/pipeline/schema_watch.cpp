#include "replicator/pipeline/schema_watch.hpp"

#include <algorithm>
#include <utility>

#include "capture/sqlite/capture.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/known_tables.hpp"
#include "replicator/pipeline/mapped_standing.hpp"

namespace tidegate {
namespace {

using capture::PostgresTable;

constexpr const char* not_replicated = "table-not-replicated";
constexpr const char *fact_name = "source_tables", *enums_fact_name = "source_enums";

const PostgresTable* table_named(const std::vector<PostgresTable>& tables, const std::string& name) {
  auto found =
      std::find_if(tables.begin(), tables.end(), [&](const auto& each) { return each.source == name; });
  return found == tables.end() ? nullptr : &*found;
}

bool has_file(const PostgresTable& table, const capture::TableFile& file) {
  return std::any_of(table.files.begin(), table.files.end(),
                     [&](const auto& each) { return each.oid == file.oid; });
}

}  // namespace

void SchemaWatch::begin(const std::vector<PostgresTable>& now, const std::vector<capture::EnumType>& enums) {
  std::lock_guard lock(mutex_);
  auto followed = store_.fact(enums_fact_name);
  followed_enums_ = followed ? enums_from_json(*followed) : enums;
  if (!followed) keep_enums();
  enums_ = enums;
  auto kept = store_.fact(fact_name);
  known_ = kept ? known_from_json(*kept) : now;
  if (!kept) keep();
  compare(now);
}

std::vector<PostgresTable> SchemaWatch::followed(const std::vector<PostgresTable>& now) const {
  auto kept = store_.fact(fact_name);
  if (!kept) return now;
  const auto known = known_from_json(*kept);
  std::vector<PostgresTable> found;
  std::ranges::copy_if(now, std::back_inserter(found),
                       [&](const auto& table) { return table_named(known, table.source) != nullptr; });
  return found;
}

void SchemaWatch::keep() {
  store_.set_fact(fact_name, known_to_json(known_));
}

void SchemaWatch::keep_enums() {
  store_.set_fact(enums_fact_name, enums_to_json(followed_enums_));
}

std::optional<SchemaWatch::EnumsChanged> SchemaWatch::enums_changed() const {
  std::lock_guard lock(mutex_);
  if (enums_ == followed_enums_) return std::nullopt;
  return EnumsChanged{followed_enums_, enums_};
}

bool SchemaWatch::follows(const std::vector<capture::EnumType>& enums) const {
  std::lock_guard lock(mutex_);
  return enums == followed_enums_;
}

void SchemaWatch::enums_followed(const std::vector<capture::EnumType>& now) {
  std::lock_guard lock(mutex_);
  followed_enums_ = now;
  keep_enums();
}

// The mark is read first: what happens between the two is seen the next time.
void SchemaWatch::look(postgres::Connection& source) {
  std::string mark = capture::catalog_mark(source);
  std::uint64_t accepted = 0;
  {
    std::lock_guard lock(mutex_);
    if (mark == mark_) return;
    accepted = accepted_;
  }
  auto now = capture::read_catalog(source, settings_.tables.include, settings_.tables.exclude);
  auto enums = capture::read_enums(source, now);
  std::lock_guard lock(mutex_);
  enums_ = std::move(enums);
  if (accepted != accepted_) return;  // what is known may be newer than what was read
  compare(now);
  mark_ = mark;
}

void SchemaWatch::compare(const std::vector<PostgresTable>& now) {
  judge_known(now);
  report_new(now);
}

// A table that waits for the stream keeps its old description until the stream has come there.
void SchemaWatch::judge_known(const std::vector<PostgresTable>& now) {
  for (auto& table : known_) {
    auto* there = table_named(now, table.source);
    Standing found = standing(maps_, table, there);
    if (found.kind == Standing::Kind::doubt) {
      doubts_.try_emplace(table.source, Doubt{found.why});
    } else {
      doubts_.erase(table.source);
    }
    if (found.kind != Standing::Kind::same) continue;
    report_partitions(table, *there);
    table = *there;
    tables_.replace(*there);
  }
  keep();
  ask_for_a_pause();
}

void SchemaWatch::ask_for_a_pause() {
  bool any =
      std::any_of(doubts_.begin(), doubts_.end(), [](const auto& doubt) { return !doubt.second.told; });
  if (any) {
    doubted_.request_stop();
  } else if (doubted_.stop_requested()) {
    doubted_ = {};
  }
}

void SchemaWatch::report_once(const std::string& table, const std::string& message) {
  if (!reported_.insert(table).second) return;
  log_warn("{}", message);
  coordination_.clear_report(not_replicated, table);
  coordination_.report(not_replicated, message, table);
}

void SchemaWatch::forget_refused(const std::vector<PostgresTable>& now) {
  std::erase_if(refused_, [&](const auto& refused) {
    bool gone = table_named(now, refused.first) == nullptr;
    if (gone) coordination_.clear_report(not_replicated, refused.first);
    return gone;
  });
}

void SchemaWatch::report_new(const std::vector<PostgresTable>& now) {
  forget_refused(now);
  new_tables_.clear();
  for (const auto& table : now) {
    if (table_named(known_, table.source)) continue;
    if (carries()) {
      std::string shape = capture::fingerprint(table);
      auto refused = refused_.find(table.source);
      if (refused == refused_.end() || refused->second != shape) new_tables_[table.source] = std::move(shape);
      continue;
    }
    report_once(table.source, "table " + table.source +
                                  " came to the source after the plan was made, and is not replicated");
  }
}

std::vector<std::string> SchemaWatch::new_tables() const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, shape] : new_tables_) names.push_back(name);
  return names;
}

void SchemaWatch::cannot_take_in(const std::string& table, const std::string& why) {
  std::lock_guard lock(mutex_);
  if (auto asked = new_tables_.extract(table)) refused_[table] = asked.mapped();
  std::string message = "table " + table + " came to the source, and is not replicated: " + why;
  log_warn("{}", message);
  coordination_.clear_report(not_replicated, table);
  coordination_.report(not_replicated, message, table);
}

std::vector<std::pair<std::string, capture::TableFile>> SchemaWatch::take_new_partitions() {
  std::lock_guard lock(mutex_);
  return std::exchange(new_partitions_, {});
}

void SchemaWatch::note_partitions(const PostgresTable& before, const PostgresTable& now) {
  for (const auto& file : now.files) {
    if (!has_file(before, file)) new_partitions_.emplace_back(now.source, file);
  }
}

void SchemaWatch::report_partitions(const PostgresTable& before, const PostgresTable& now) {
  if (carries()) return note_partitions(before, now);
  for (const auto& file : now.files) {
    if (has_file(before, file)) continue;
    std::string name = file.schema + "." + file.name;
    report_once(name, "partition " + name +
                          " came to the source after the plan was made: until the target has one for "
                          "the same rows, they go to the quarantine");
  }
}

std::optional<PostgresTable> SchemaWatch::known(const std::string& source_name) const {
  std::lock_guard lock(mutex_);
  auto* found = table_named(known_, source_name);
  return found ? std::optional(*found) : std::nullopt;
}

// A crash may come before the journal has the change: then it must be found again.
void SchemaWatch::carried(const PostgresTable& table) {
  std::lock_guard lock(mutex_);
  carried_.push_back(table);
}

void SchemaWatch::committed() {
  std::lock_guard lock(mutex_);
  if (carried_.empty()) return;
  for (const auto& table : carried_) {
    for (auto& known : known_) {
      if (known.source == table.source) known = table;
    }
  }
  carried_.clear();
  keep();
}

std::stop_token SchemaWatch::until_doubt() const {
  std::lock_guard lock(mutex_);
  return doubted_.get_token();
}

std::vector<SchemaChange::Stopped> SchemaWatch::new_doubts() const {
  std::lock_guard lock(mutex_);
  std::vector<SchemaChange::Stopped> doubts;
  for (const auto& [table, doubt] : doubts_) {
    if (!doubt.told) doubts.push_back({table, doubt.why});
  }
  return doubts;
}

void SchemaWatch::told(const std::string& table, const std::string& why) {
  std::lock_guard lock(mutex_);
  doubts_[table] = {why, true};
  ask_for_a_pause();
}

bool SchemaWatch::in_doubt(const std::string& table) const {
  std::lock_guard lock(mutex_);
  return doubts_.contains(table);
}

void SchemaWatch::accept(const PostgresTable& now) {
  std::lock_guard lock(mutex_);
  if (auto* before = table_named(known_, now.source)) note_partitions(*before, now);
  std::erase_if(known_, [&](const PostgresTable& each) { return each.source == now.source; });
  known_.push_back(now);
  tables_.put(now);
  doubts_.erase(now.source);
  new_tables_.erase(now.source);
  if (refused_.erase(now.source)) coordination_.clear_report(not_replicated, now.source);
  mark_.clear();  // the watch may have seen a later change already, and compares again
  ++accepted_;
  ask_for_a_pause();
  keep();
}

}  // namespace tidegate
