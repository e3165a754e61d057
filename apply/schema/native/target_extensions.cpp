#include "apply/schema/native/target_extensions.hpp"

namespace tidegate {

TargetExtensions read_target_extensions(postgres::Connection& target) {
  TargetExtensions found;
  auto rows = target.run(
      "SELECT e.extname, n.nspname FROM pg_catalog.pg_extension e"
      " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace");
  for (int i = 0; i < rows.rows(); ++i) found.installed.emplace(rows.text(i, 0), rows.text(i, 1));
  rows = target.run("SELECT name FROM pg_catalog.pg_available_extensions");
  for (int i = 0; i < rows.rows(); ++i) found.available.emplace(rows.text(i, 0));
  return found;
}

std::vector<Finding> missing_extensions(const std::set<std::string>& needed, const TargetExtensions& target) {
  std::vector<Finding> findings;
  for (const std::string& name : needed) {
    if (target.available.contains(name) || target.installed.contains(name)) continue;
    findings.push_back({Finding::Level::block, "extension-not-available", "", "",
                        "the tables need extension " + name + ", which the target's server does not have",
                        "install it there, or leave out the tables that use it ([tables] exclude)"});
  }
  return findings;
}

}  // namespace tidegate
