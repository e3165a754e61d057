#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "replicator/cli/plan_text.hpp"
#include "replicator/cli/verbs.hpp"
#include "replicator/doctor/doctor.hpp"
#include "replicator/doctor/live_side.hpp"
#include "replicator/failure.hpp"

namespace tidegate::cli {
namespace {

namespace json = boost::json;

// An end that cannot be examined at all is a finding like the others: the rest is still worth knowing.
template <typename Examine>
std::vector<Finding> examined(const char* code, Examine examine) {
  try {
    return examine();
  } catch (const std::exception& failure) {
    Told what = told(failure);
    return {{Finding::Level::block, what.code.empty() ? code : what.code, "", "", what.message, what.mend}};
  }
}

std::string counted(std::ptrdiff_t number, const char* one, const char* more) {
  return fmt::format("{} {}", number, number == 1 ? one : more);
}

bool blocks_a_run(const Finding& finding) {
  return finding.level == Finding::Level::block;
}

void append(std::vector<Finding>& all, std::vector<Finding> more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

namespace {

std::vector<Finding> all_findings(const Settings& settings) {
  std::vector<Finding> findings;
  std::optional<PlannedPipeline> planned;
  const auto sound = [&] { return std::none_of(findings.begin(), findings.end(), blocks_a_run); };
  append(findings, examined("source-unreachable", [&] { return examine_source(settings, planned); }));
  append(findings, examined("target-unreachable", [&] { return examine_target(settings); }));
  if (sound()) append(findings, examined("target-unreachable", [&] { return examine_live_side(settings); }));
  if (sound()) append(findings, examined("source-unreachable", [&] { return examine_versions(settings); }));
  if (sound())
    append(findings,
           examined("target-unreachable", [&] { return examine_target_tables(settings, planned); }));
  append(findings, examined("source-unreachable", [&] {
           examine_rows(settings, std::move(planned), sound(), findings);
           return std::vector<Finding>();
         }));
  if (sound()) append(findings, examined("mapping-not-examined", [&] { return examine_mapping(settings); }));
  append(findings, examined("machine-not-examined", [&] { return examine_machine(settings); }));
  return findings;
}

}  // namespace

int doctor(const Invocation& invocation) {
  const std::vector<Finding> findings = all_findings(settings_of(invocation, Purpose::run));
  auto count = [&](Finding::Level level) {
    return std::count_if(findings.begin(), findings.end(),
                         [&](const Finding& finding) { return finding.level == level; });
  };
  auto blocks = count(Finding::Level::block), warns = count(Finding::Level::warn);
  if (invocation.json) {
    fmt::print("{}\n", json::serialize(json::object{
                           {"findings", findings_json(findings)}, {"blocks", blocks}, {"warns", warns}}));
  } else {
    fmt::print("{}", findings_text(findings));
    fmt::print("\n{}\n", blocks ? counted(blocks, "finding blocks a run", "findings block a run")
                                : "nothing blocks a run; " + counted(warns, "warning", "warnings"));
  }
  return static_cast<int>(blocks ? Exit::refused : Exit::done);
}

}  // namespace tidegate::cli
