#include "replicator/verify/report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json.hpp>

#include "replicator/config/units.hpp"

namespace tidegate::verify {
namespace {

namespace json = boost::json;

json::value key_value(const std::string& key) {
  boost::system::error_code error;
  json::value parsed = json::parse(key, error);
  return error ? json::value(key) : parsed;
}

json::object shown(const Difference& difference) {
  json::object out{{"table", difference.table},
                   {"key", key_value(difference.key)},
                   {"kind", name_of(difference.kind)},
                   {"side", name_of(difference.side)}};
  out["columns"] = json::array(difference.columns.begin(), difference.columns.end());
  return out;
}

json::object shown(const TableResult& table) {
  json::object out{
      {"source", table.source}, {"target", table.target},           {"done", table.done},
      {"rows", table.rows},     {"differences", table.differences}, {"excepted", table.excepted}};
  if (table.target_rows) out["target_rows"] = *table.target_rows;
  return out;
}

json::object head(const Report& report) {
  json::object out{{"run", report.run.id},
                   {"pipeline", report.run.ends.pipeline},
                   {"source", report.run.ends.source},
                   {"target", report.run.ends.target},
                   {"state", report.run.state},
                   {"equal", report.is_equal()},
                   {"started_at", report.run.started_at},
                   {"ended_at", report.run.ended_at},
                   {"by", report.run.by},
                   {"error", report.run.error},
                   {"rows", report.rows},
                   {"differing", report.differing},
                   {"excepted_rows", report.excepted_rows}};
  out["request"] = json::parse(to_json(report.run.request));
  out["positions"] = json::array(report.positions.begin(), report.positions.end());
  return out;
}

std::string line_of(const Difference& difference) {
  return fmt::format("  {} {} {}\n", difference.table, difference.key, sentence(difference));
}

std::string positions_text(const Report& report) {
  if (report.positions.empty()) return "";
  if (report.positions.size() == 1) return fmt::format(" at position {}", report.positions.front());
  return fmt::format(" at {} positions from {} on", report.positions.size(), report.positions.front());
}

}  // namespace

std::string sentence(const Difference& difference) {
  bool shadow = difference.side == Side::shadow;
  switch (difference.kind) {
    case Kind::missing:
      return shadow ? "is in the live file and was not captured" : "is missing from the target";
    case Kind::extra:
      return shadow ? "was captured and is not in the live file" : "is only in the target";
    case Kind::differs:
      break;
  }
  return fmt::format("differs in {}{}", fmt::join(difference.columns, ", "),
                     shadow ? " between the live file and what was captured" : "");
}

std::string verdict(const Report& report) {
  if (report.run.state == "running") return "not through yet";
  if (report.run.state == "failed") return "failed: " + report.run.error;
  if (report.run.state == "stopped") return "stopped before it was through";
  if (report.differing == 0) return report.run.request.counts ? "the counts are equal" : "no difference";
  return report.differing == 1 ? "1 difference" : format_count(report.differing) + " differences";
}

std::string to_text(const Report& report, std::size_t most) {
  std::string out =
      fmt::format("{} in {} of {} table{}{}\n", verdict(report), format_rows(report.rows),
                  report.tables.size(), report.tables.size() == 1 ? "" : "s", positions_text(report));
  if (report.run.request.sample) out += "A sample was compared, not every row.\n";
  for (std::size_t i = 0; i < report.differences.size() && i < most; ++i)
    out += line_of(report.differences[i]);
  auto named = std::min(most, report.differences.size());
  auto remarks = static_cast<std::uint64_t>(std::count_if(
      report.remarks.begin(), report.remarks.end(), [](const Remark& each) { return each.is_difference; }));
  if (report.differing > named + remarks)
    out += fmt::format("  and {} more; --json and --html name them\n",
                       format_count(report.differing - named - remarks));
  for (const Remark& remark : report.remarks)
    out += fmt::format("  {}: {} [{}]\n", remark.table.empty() ? "all" : remark.table, remark.message,
                       remark.code);
  if (report.excepted_rows > 0)
    out += fmt::format("Not compared, since in quarantine: {} (`tidegate quarantine list`)\n",
                       format_rows(report.excepted_rows));
  return out;
}

std::string to_json(const Report& report) {
  json::object out = head(report);
  json::array tables, differences, excepted, remarks;
  for (const auto& table : report.tables) tables.push_back(shown(table));
  for (const auto& difference : report.differences) differences.push_back(shown(difference));
  for (const auto& each : report.excepted)
    excepted.push_back(
        json::object{{"table", each.table}, {"key", key_value(each.key)}, {"reason", each.reason}});
  for (const auto& each : report.remarks)
    remarks.push_back(json::object{{"code", each.code},
                                   {"table", each.table},
                                   {"message", each.message},
                                   {"difference", each.is_difference}});
  out["tables"] = std::move(tables);
  out["differences"] = std::move(differences);
  out["excepted"] = std::move(excepted);
  out["remarks"] = std::move(remarks);
  return json::serialize(out);
}

}  // namespace tidegate::verify
