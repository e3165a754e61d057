// What an operator asks verify to do.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::verify {

struct Request {
  std::vector<std::string> tables;         // patterns with * and ?; empty: all
  std::optional<std::uint64_t> sample;     // so many rows of each table
  bool counts = false;                     // only how many rows each table has
  bool mend = false;                       // rows that differ are mended and compared again, until none does
  bool continuous = false;                 // begins again when it is through, until it is stopped
  std::uint64_t rate = 0;                  // rows per second at most; 0: no limit
  std::chrono::milliseconds rest{30'000};  // between two rounds of `continuous`
  int jobs = 0;                            // tables and ranges at a time; 0: as the source's snapshot
  bool operator==(const Request&) const = default;
};

// A rate for `continuous` where none was given: so low that nobody notices.
inline constexpr std::uint64_t continuous_rate = 20'000;

std::string to_json(const Request& request);
// Throws Usage on what is no request.
Request request_from_json(std::string_view json);

}  // namespace tidegate::verify
