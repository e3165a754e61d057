// Sizes, durations and rates as people write them. Pure; absent means "not one".
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidegate {

// "16MiB", "1.5 GB", "4096": bytes. Units B, kB, KB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (of
// 1024).
std::optional<std::uint64_t> parse_size(std::string_view text);

// "50ms", "1.5s", "10m", "24h", "7d": at least one unit, no sign; not finer than a millisecond.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// As a setting is written, without loss: parse_size(exact_size(n)) == n.
std::string exact_size(std::uint64_t bytes);                     // "16MiB"
std::string exact_duration(std::chrono::milliseconds duration);  // "24h"

// For people.
std::string format_size(std::uint64_t bytes);  // "12.3 MiB"
std::string format_duration(
    std::chrono::milliseconds duration);        // "50ms", "1.5s", "4m 05s", "3h 12m", "2d 4h"
std::string format_count(std::uint64_t count);  // "1,204,551"
std::string format_rows(std::uint64_t count);   // "1 row", "1,204 rows"

}  // namespace tidegate
