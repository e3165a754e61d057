// Points in time as numbers since 1970 and as text. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidegate {

enum class TimeUnit { second, millisecond, microsecond };

// "2024-02-29 12:30:00+00", or with six digits of a fraction, to which it is rounded. Nothing outside of the
// years 1 to 9999.
std::optional<std::string> epoch_to_iso(std::int64_t count, TimeUnit unit);
std::optional<std::string> epoch_to_iso(double count, TimeUnit unit);

// A date, or a date with a time of day and perhaps a zone (proto/iso_time.hpp); without a zone it is UTC.
// What is finer than the unit is cut off, towards the past. Nothing for another text.
std::optional<std::int64_t> iso_to_epoch(std::string_view text, TimeUnit unit);

}  // namespace tidegate
