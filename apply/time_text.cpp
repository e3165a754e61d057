#include "apply/time_text.hpp"

namespace tidegate {
namespace {

void append_digits(unsigned number, int width, std::string& out) {
  const std::size_t start = out.size();
  out.append(static_cast<std::size_t>(width), '0');
  for (std::size_t at = out.size(); at > start; number /= 10)
    out[--at] = static_cast<char>('0' + number % 10);
}

}  // namespace

void append_date(std::chrono::sys_days day, std::string& out) {
  const std::chrono::year_month_day date(day);
  append_digits(static_cast<unsigned>(static_cast<int>(date.year())), 4, out);
  out += '-';
  append_digits(static_cast<unsigned>(date.month()), 2, out);
  out += '-';
  append_digits(static_cast<unsigned>(date.day()), 2, out);
}

void append_timestamp(std::int64_t since_1970, std::string& out) {
  const std::chrono::sys_time<std::chrono::microseconds> moment{std::chrono::microseconds(since_1970)};
  const auto day = std::chrono::floor<std::chrono::days>(moment);
  const std::chrono::hh_mm_ss time(moment - day);
  append_date(day, out);
  out += ' ';
  append_digits(static_cast<unsigned>(time.hours().count()), 2, out);
  out += ':';
  append_digits(static_cast<unsigned>(time.minutes().count()), 2, out);
  out += ':';
  append_digits(static_cast<unsigned>(time.seconds().count()), 2, out);
  if (time.subseconds().count() != 0) {
    out += '.';
    append_digits(static_cast<unsigned>(time.subseconds().count()), 6, out);
  }
  out += "+00";
}

}  // namespace tidegate
