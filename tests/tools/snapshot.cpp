// The snapshot of a Postgres source by itself, for integration/test_snapshot.py: a JSON order on stdin, JSON
// on stdout. Copies until all chunks are there, then says of changes of the stream what they have not shown.
#include <boost/json.hpp>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <thread>

#include "db/error.hpp"
#include "replicator/pipeline/postgres_snapshot.hpp"

namespace json = boost::json;
using namespace tidegate;

namespace {

std::string text(const json::value& value) {
  return json::value_to<std::string>(value);
}

std::vector<std::string> texts(const json::value& value) {
  return json::value_to<std::vector<std::string>>(value);
}

postgres::ConnectOptions server(const char* variable) {
  postgres::ConnectOptions options;
  options.url = std::getenv(variable);
  options.application_name = "tidegate-snapshot";
  return options;
}

PostgresSnapshotTable table_from(const json::object& order) {
  PostgresSnapshotTable table;
  table.source = {text(order.at("name")),     text(order.at("schema")), text(order.at("table")),
                  texts(order.at("columns")), texts(order.at("key")),   order.at("partitioned").as_bool()};
  TablePlan& plan = table.plans.emplace_back();
  plan.source = table.source.name;
  plan.schema = text(order.at("target_schema"));
  plan.target = text(order.at("target"));
  plan.key = table.source.key;
  for (const auto& name : table.source.columns) {
    ColumnPlan column;
    column.source = column.target = name;
    column.type = TargetType::native;
    plan.columns.push_back(column);
  }
  return table;
}

PostgresSnapshotOptions options_from(const json::object& order) {
  PostgresSnapshotOptions options;
  options.source = server("TIDEGATE_TEST_SOURCE");
  options.jobs = static_cast<int>(order.at("jobs").as_int64());
  options.max_age = std::chrono::milliseconds(order.at("max_age_ms").as_int64());
  options.chunk.rows = static_cast<std::uint64_t>(order.at("chunk_rows").as_int64());
  options.chunk.bytes = static_cast<std::uint64_t>(order.at("chunk_bytes").as_int64());
  auto pause = std::chrono::milliseconds(order.at("pause_ms").as_int64());
  options.pace = [pause](auto, auto) { std::this_thread::sleep_for(pause); };
  return options;
}

Value value_from(const json::value& value) {
  if (value.is_null()) return Null{};
  return text(value);
}

Row row_from(const json::value& values) {
  Row row;
  for (const auto& value : values.as_array()) row.push_back(value_from(value));
  return row;
}

json::value json_of(const Row& row) {
  json::array values;
  for (const Value& value : row) {
    const auto* held = std::get_if<std::string>(&value);
    values.push_back(held ? json::value(*held) : json::value(nullptr));
  }
  return values;
}

json::value judge(const ChunkMap& map, const json::object& change, const SnapshotTable& table) {
  constexpr std::string_view operations = "IUDT";
  Change given{static_cast<Operation>(operations.find(text(change.at("operation")))),
               0,
               row_from(change.at("row")),
               {},
               {}};
  given.before = row_from(change.at("before"));
  Relation relation{0, table.name, table.columns, {}};
  auto at = std::stoull(text(change.at("commit_lsn")));
  auto unseen = map.unseen(relation, given, at);
  json::object answer{{"ranges", json::array{}}, {"change", nullptr}};
  for (const auto& range : unseen.ranges) {
    answer["ranges"].as_array().push_back({json_of(range.after), json_of(range.up_to)});
  }
  if (!unseen.change) return answer;
  answer["change"] = {
      {"operation", std::string(1, operations[static_cast<std::size_t>(unseen.change->operation)])},
      {"row", json_of(unseen.change->row)},
      {"before", json_of(unseen.change->before)}};
  return answer;
}

std::sig_atomic_t volatile terminated = 0;

// SIGTERM asks for a stop.
std::jthread watch_for_stop(std::stop_source& stop) {
  std::signal(SIGTERM, [](int) { terminated = 1; });
  return std::jthread([&stop](const std::stop_token& done) {
    while (!done.stop_requested()) {
      if (terminated) stop.request_stop();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
}

json::value perform(const json::object& order) {
  TargetOptions target{server("TIDEGATE_TEST_TARGET"), text(order.at("pipeline"))};
  TargetSession session(target, "incarnation");
  Quarantine quarantine(session);
  std::vector<PostgresSnapshotTable> tables;
  for (const auto& each : order.at("tables").as_array()) tables.push_back(table_from(each.as_object()));
  PostgresSnapshot snapshot(options_from(order), tables, session, quarantine);
  std::stop_source stop;
  auto watch = watch_for_stop(stop);
  bool whole = snapshot.copy(stop.get_token());
  json::object answer{{"whole", whole}, {"newest", std::to_string(snapshot.chunk_map().newest())}};
  json::array judged;
  ChunkMap map = snapshot.chunk_map();
  for (const auto& change : order.at("changes").as_array()) {
    auto place = static_cast<std::size_t>(change.at("table").as_int64());
    judged.push_back(judge(map, change.as_object(), tables.at(place).source));
  }
  answer["judged"] = std::move(judged);
  return answer;
}

}  // namespace

int main() {
  std::string input{std::istreambuf_iterator<char>(std::cin), {}};
  try {
    std::cout << json::serialize(perform(json::parse(input).as_object())) << "\n";
    return 0;
  } catch (const Error& error) {
    std::cout << json::serialize(json::object{{"error", error.what()}, {"code", error.code()}}) << "\n";
  } catch (const std::exception& error) {
    std::cout << json::serialize(json::object{{"error", error.what()}, {"code", ""}}) << "\n";
  }
  return 1;
}
