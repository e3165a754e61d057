// What a run found, as people, programs and change tickets read it. Pure; never a value of a row.
#pragma once

#include <cstddef>
#include <string>

#include "replicator/verify/store.hpp"

namespace tidegate::verify {

// "12,345 rows of 7 tables are equal", or each difference up to `most` of them.
std::string to_text(const Report& report, std::size_t most);
std::string to_json(const Report& report);
// One page that needs nothing else; the program's version is named on it.
std::string to_html(const Report& report, const std::string& version);

// "missing from the target", "differs in name, age": what the difference is, without its table and key.
std::string sentence(const Difference& difference);
std::string verdict(const Report& report);

}  // namespace tidegate::verify
