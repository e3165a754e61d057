// Dates and points in time as Postgres prints them, years 1 to 9999. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace tidegate {

void append_date(std::chrono::sys_days day, std::string& out);  // 2024-02-29
// Microseconds since 1970: 2024-02-29 12:30:00+00, or with six digits of a fraction.
void append_timestamp(std::int64_t since_1970, std::string& out);

}  // namespace tidegate
