// Which verb may do its work in which phase: the table of README.md, which a test compares with this.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::cutover {

// The verbs and phases of the table, in its order.
const std::vector<std::string_view>& guarded_verbs();
const std::vector<std::string_view>& phases();

// Why the verb is refused; empty: it may.
std::string_view why_refused(std::string_view verb, std::string_view phase);

// Throws Refused ("wrong-phase", or "past-no-return" for an abort that comes too late) with the way out.
void require_permitted(std::string_view verb, std::string_view phase);

// The table as README.md has it.
std::string as_markdown();

}  // namespace tidegate::cutover
