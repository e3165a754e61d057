// events: the journal as JSON lines. Keys and shapes; values only when asked for, and that is audited.
#include <fmt/format.h>

#include <boost/json.hpp>
#include <chrono>
#include <thread>

#include "proto/text.hpp"
#include "replicator/cli/verbs.hpp"
#include "replicator/control/store.hpp"
#include "replicator/failure.hpp"
#include "replicator/journal/journal.hpp"
#include "replicator/who.hpp"

namespace tidegate::cli {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

constexpr auto poll_interval = 200ms;

std::string_view name_of(Operation operation) {
  switch (operation) {
    case Operation::insert:
      return "insert";
    case Operation::update:
      return "update";
    case Operation::remove:
      return "delete";
    case Operation::truncate:
      return "truncate";
  }
  return "";
}

json::value shown(const Value& value) {
  if (auto* integer = std::get_if<std::int64_t>(&value)) return *integer;
  if (auto* real = std::get_if<double>(&value)) return *real;
  if (auto* text = std::get_if<std::string>(&value); text && is_valid_utf8(*text)) return json::string(*text);
  if (is_null(value)) return nullptr;
  return json::parse(key_as_json({value})).at(0);  // bytes, as "\x…"
}

json::object shown(const Row& row, const std::vector<std::string>& columns) {
  json::object out;
  for (std::size_t i = 0; i < row.size(); ++i) out[columns[i]] = shown(row[i]);
  return out;
}

const Relation& relation_of(const TransactionPart& part, const Change& change) {
  for (const auto& relation : part.relations) {
    if (relation.id == change.relation) return relation;
  }
  throw std::logic_error("a change without its relation");
}

json::object shown(const JournalReader::Entry& entry, const Change& change, bool values) {
  const Relation& relation = relation_of(entry.part, change);
  json::object line{{"sequence", entry.sequence},
                    {"transaction", entry.part.transaction},
                    {"table", relation.table},
                    {"op", name_of(change.operation)},
                    {"key", json::parse(key_as_json(key_of(relation, change.row)))}};
  if (change.operation == Operation::update) {
    json::array changed;
    for (auto place : change.changed) changed.emplace_back(relation.columns[place]);
    line["changed"] = std::move(changed);
  }
  if (!values) return line;
  line["row"] = shown(change.row, relation.columns);
  json::object old;
  for (std::size_t i = 0; i < change.old.size(); ++i)
    old[relation.columns[change.changed[i]]] = shown(change.old[i]);
  if (!old.empty()) line["old"] = std::move(old);
  return line;
}

void print(const JournalReader::Entry& entry, bool values) {
  if (entry.part.schema_change) {
    json::array tables;
    for (const auto& table : entry.part.schema_change->tables) tables.emplace_back(table.name);
    for (const auto& stopped : entry.part.schema_change->stopped) tables.emplace_back(stopped.table);
    fmt::print("{}\n", json::serialize(json::object{{"sequence", entry.sequence},
                                                    {"transaction", entry.part.transaction},
                                                    {"op", "schema_change"},
                                                    {"tables", tables}}));
  }
  for (const auto& change : entry.part.changes)
    fmt::print("{}\n", json::serialize(shown(entry, change, values)));
}

}  // namespace

int events(const Invocation& invocation) {
  auto state_dir = find_state_dir(invocation);
  if (!std::filesystem::exists(state_dir / "state.db")) {
    throw Coded<Refused>("no-journal", "there is no journal in " + state_dir.string(),
                         "say which pipeline with --state DIR; `tidegate list` shows them");
  }
  if (invocation.values) {
    ControlStore(state_dir / "control.db")
        .audit("events --values", who_runs_this(), invocation.flags.reason.value_or(""), "");
  }
  JournalReader journal(state_dir / "state.db");
  std::uint64_t sequence = journal.first() - 1;
  while (true) {
    while (auto entry = journal.next(sequence)) {
      print(*entry, invocation.values);
      sequence = entry->sequence;
    }
    std::fflush(stdout);
    if (!invocation.follow || std::ferror(stdout)) return 0;
    std::this_thread::sleep_for(poll_interval);
  }
}

}  // namespace tidegate::cli
