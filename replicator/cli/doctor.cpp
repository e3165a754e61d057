#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "replicator/cli/plan_text.hpp"
#include "replicator/cli/verbs.hpp"
#include "replicator/doctor/doctor.hpp"
#include "replicator/failure.hpp"

namespace tidegate::cli {
namespace {

namespace json = boost::json;

// An end that cannot be examined at all is a finding like the others: the rest is still worth knowing.
std::vector<Finding> examined(const char* end, std::vector<Finding> (*examine)(const Settings&),
                              const Settings& settings) {
  try {
    return examine(settings);
  } catch (const std::exception& failure) {
    Told what = told(failure);
    return {{Finding::Level::block, what.code.empty() ? std::string(end) + "-unreachable" : what.code, "", "",
             what.message, what.mend}};
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

int doctor(const Invocation& invocation) {
  Settings settings = settings_of(invocation, Purpose::run);
  std::vector<Finding> findings;
  append(findings, examined("source", examine_source, settings));
  append(findings, examined("target", examine_target, settings));
  if (std::none_of(findings.begin(), findings.end(), blocks_a_run))
    append(findings, examined("target", examine_target_tables, settings));
  if (std::none_of(findings.begin(), findings.end(), blocks_a_run))
    append(findings, examined("mapping", examine_mapping, settings));
  append(findings, examined("machine", examine_machine, settings));
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
