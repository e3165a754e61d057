#include "replicator/pipeline/estimate.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "apply/postgres/chunk_loader.hpp"
#include "apply/postgres/statements.hpp"
#include "db/error.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/mapping_setup.hpp"
#include "replicator/pipeline/source_scan.hpp"
#include "replicator/server_access.hpp"

namespace tidegate {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr std::int64_t rows_of_a_sample = 10'000;
constexpr Seconds longest_mapping{2};  // an expression may hash a password for each row
constexpr std::size_t sampled_tables = 3;
constexpr const char* sample_table = "tidegate_sample";

struct Sample {
  std::uint64_t rows = 0, bytes = 0;
  Seconds took{0};
};

// Types that the plan only makes on the target are not there yet: text stands for what a server printed.
std::string create_table(const TablePlan& plan) {
  std::vector<std::string> columns;
  for (const auto& column : plan.columns) {
    const bool native = column.type == TargetType::native;
    columns.push_back(quoted(std::string_view(column.target)) + " " + (native ? "text" : sql_type(column)));
  }
  return fmt::format("CREATE TEMP TABLE {} ({})", sample_table, fmt::join(columns, ", "));
}

// The hidden rowid of a table without a key is none of the application's columns.
void keep_columns_of(const Relation& relation, TablePlan& plan) {
  const auto& names = relation.columns;
  std::erase_if(plan.columns, [&](const ColumnPlan& column) {
    return std::find(names.begin(), names.end(), column.source) == names.end();
  });
  plan.key.clear();
}

// Rows of the source, and what is written of them.
struct Tried {
  std::uint64_t rows = 0;
  ChunkLoader::Lines lines;
};

// A column that a map fills may be of any type; its text is sent all the same.
Tried try_mapped(const Settings& settings, const SourceTable& table, const Relation& relation,
                 const TablePlan& plan, const std::vector<Row>& rows) {
  const auto maps = maps_of(settings);
  auto outputs = outputs_of(maps, table.name);
  std::erase_if(outputs, [&](const MapOutput& output) { return output.name != plan.source; });
  MappedTable mapped(std::move(outputs), table, relation, mapping_options(settings, nullptr), 0);
  const RowMapper mapper(plan, mapped.relation(0));
  const auto began = Clock::now();
  Tried tried;
  std::vector<std::optional<Row>> made;
  std::vector<Row> written;
  for (const Row& row : rows) {
    mapped.map_row(row, made);
    if (made.front()) written.push_back(std::move(*made.front()));
    ++tried.rows;
    if (Clock::now() - began > longest_mapping) break;
  }
  tried.lines = ChunkLoader::encode_lines(mapper, written);
  return tried;
}

void send(postgres::Connection& target, const TablePlan& plan, const std::string& text) {
  target.copy_begin(copy_sql(plan));
  target.copy_data(text);
  target.copy_end();
}

Sample sample_of_map(const Settings& settings, postgres::Connection& target, const SourceTable& table,
                     TablePlan plan) {
  const Relation relation = relation_of(table, settings.source.end.kind == Endpoint::Kind::postgres);
  const auto began = Clock::now();
  std::vector<Row> rows;
  each_source_row(settings, relation, rows_of_a_sample, [&](const Row& row) { rows.push_back(row); });
  const Seconds read = Clock::now() - began;
  const auto mapping = Clock::now();
  const Tried tried = try_mapped(settings, table, relation, plan, rows);
  plan.schema = "pg_temp";
  plan.target = sample_table;
  for (ColumnPlan& column : plan.columns) column.type = TargetType::native;
  postgres::Transaction transaction(target);  // rolled back at the end
  target.run(create_table(plan));
  send(target, plan, tried.lines.text);
  const double part = rows.empty() ? 0 : static_cast<double>(tried.rows) / static_cast<double>(rows.size());
  return {tried.rows, tried.lines.text.size(), read * part + (Clock::now() - mapping)};
}

Sample sample_of(const Settings& settings, postgres::Connection& target, const SourceTable& table,
                 TablePlan plan) {
  if (!plan.from.empty()) return sample_of_map(settings, target, table, std::move(plan));
  plan.schema = "pg_temp";
  plan.target = sample_table;
  const bool published = settings.source.end.kind == Endpoint::Kind::postgres;
  const Relation relation = relation_of(table, published);
  keep_columns_of(relation, plan);
  const RowMapper mapper(plan, relation);
  postgres::Transaction transaction(target);  // rolled back at the end
  target.run(create_table(plan));
  const auto began = Clock::now();
  std::vector<Row> rows;
  each_source_row(settings, relation, rows_of_a_sample, [&](const Row& row) { rows.push_back(row); });
  const auto lines = ChunkLoader::encode_lines(mapper, rows);
  send(target, plan, lines.text);
  return {rows.size(), lines.text.size(), Clock::now() - began};
}

// Places in planned.plans of the tables with the most rows.
std::vector<std::size_t> largest(const PlannedPipeline& planned) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < planned.plans.size(); ++i) {
    if (planned.measures[i].rows > 0) places.push_back(i);
  }
  std::sort(places.begin(), places.end(),
            [&](auto a, auto b) { return planned.measures[a].rows > planned.measures[b].rows; });
  if (places.size() > sampled_tables) places.resize(sampled_tables);
  return places;
}

// Tables that were not tried are taken for what the others were on the average.
Estimate estimate_from(const PlannedPipeline& planned, const std::vector<std::size_t>& places,
                       const std::vector<Sample>& samples) {
  Sample all;
  std::uint64_t rows = 0, tried = 0;
  for (const auto& measure : planned.measures) rows += measure.rows;
  Estimate estimate;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const Sample& sample = samples[i];
    all = {all.rows + sample.rows, all.bytes + sample.bytes, all.took + sample.took};
    const auto of_table = planned.measures[places[i]].rows;
    const double times = static_cast<double>(of_table) / static_cast<double>(sample.rows);
    tried += of_table;
    estimate.copy += sample.took * times;
    estimate.bytes += static_cast<std::uint64_t>(static_cast<double>(sample.bytes) * times);
  }
  const double times = static_cast<double>(rows - tried) / static_cast<double>(all.rows);
  estimate.copy += all.took * times;
  estimate.bytes += static_cast<std::uint64_t>(static_cast<double>(all.bytes) * times);
  estimate.sampled_rows = all.rows;
  estimate.rows_per_second = static_cast<double>(rows) / estimate.copy.count();
  return estimate;
}

}  // namespace

std::optional<Estimate> estimate_copy(const Settings& settings, const PlannedPipeline& planned) {
  const auto places = largest(planned);
  if (settings.target.end.kind != Endpoint::Kind::postgres || places.empty()) return std::nullopt;
  try {
    postgres::Connection target(connect_options(settings, "tidegate plan"));
    std::vector<Sample> samples;
    for (auto place : places) {
      samples.push_back(sample_of(settings, target, planned.tables[place], planned.plans[place]));
      if (samples.back().rows == 0) return std::nullopt;  // emptied meanwhile
    }
    return estimate_from(planned, places, samples);
  } catch (const Error& error) {
    log_debug("the copy could not be tried: {}", error.what());
    return std::nullopt;
  }
}

}  // namespace tidegate
