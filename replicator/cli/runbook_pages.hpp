// The pages of runbooks/, as they were when tidegate was built: needs no file and no network.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tidegate::cli {

struct RunbookPage {
  std::string_view name, text;  // "lag-grows", Markdown
};

// Null where there is no such page. Names are compared without case.
const RunbookPage* runbook_page(std::string_view name);
std::vector<std::string> runbook_names();

}  // namespace tidegate::cli
