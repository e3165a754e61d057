#include "replicator/cli/runbook_pages.hpp"

#include <algorithm>
#include <iterator>

#include <boost/algorithm/string/predicate.hpp>

namespace tidegate::cli {

namespace {

constexpr RunbookPage pages[] = {
#include "runbook_pages.inc"
};

}  // namespace

const RunbookPage* runbook_page(std::string_view name) {
  const auto* found = std::find_if(std::begin(pages), std::end(pages), [&](const RunbookPage& page) {
    return boost::algorithm::iequals(page.name, name);
  });
  return found == std::end(pages) ? nullptr : found;
}

std::vector<std::string> runbook_names() {
  std::vector<std::string> names;
  for (const auto& page : pages) names.emplace_back(page.name);
  return names;
}

}  // namespace tidegate::cli
