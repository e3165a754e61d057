#include "replicator/config/units.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <utility>

namespace tidegate {

namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr double kilo = 1000.0, kibi = 1024.0;
constexpr Unit sizes[] = {{"", 1},
                          {"B", 1},
                          {"kB", kilo},
                          {"KB", kilo},
                          {"MB", kilo* kilo},
                          {"GB", kilo* kilo* kilo},
                          {"TB", kilo* kilo* kilo* kilo},
                          {"KiB", kibi},
                          {"MiB", kibi* kibi},
                          {"GiB", kibi* kibi* kibi},
                          {"TiB", kibi* kibi* kibi* kibi}};
constexpr Unit durations[] = {{"ms", 1},       {"s", 1000},      {"m", 60'000},
                              {"min", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};

// A number without sign, then one of `units`, with blanks between allowed. The result is whole and fits.
template <std::size_t count>
std::optional<std::uint64_t> number_with_unit(std::string_view text, const Unit (&units)[count]) {
  if (text.empty() || text.front() < '0' || text.front() > '9') return {};
  double number = 0;
  const auto [end, failure] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (failure != std::errc{}) return {};
  std::string_view rest(end, static_cast<std::size_t>(text.data() + text.size() - end));
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  for (const auto& unit : units) {
    if (unit.name != rest) continue;
    const double product = number * unit.factor;
    if (product > 9.0e15 || product != std::floor(product)) return {};  // whole and exact in a double
    return static_cast<std::uint64_t>(product);
  }
  return {};
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  return number_with_unit(text, sizes);
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto milliseconds = number_with_unit(text, durations);
  if (!milliseconds) return {};
  return std::chrono::milliseconds(static_cast<std::int64_t>(*milliseconds));
}

std::string exact_size(std::uint64_t bytes) {
  constexpr const char* names[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  for (; unit < 4 && bytes >= 1024 && bytes % 1024 == 0; ++unit) bytes /= 1024;
  return fmt::format("{}{}", bytes, names[unit]);
}

std::string exact_duration(std::chrono::milliseconds duration) {
  const auto ms = duration.count();
  if (ms == 0 || ms % 1000 != 0) return fmt::format("{}ms", ms);
  if (ms % 60'000 != 0) return fmt::format("{}s", ms / 1000);
  return ms % 3'600'000 != 0 ? fmt::format("{}m", ms / 60'000) : fmt::format("{}h", ms / 3'600'000);
}

std::string format_size(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* larger : {"KiB", "MiB", "GiB", "TiB"}) {
    if (value < 1024) break;
    value /= 1024;
    unit = larger;
  }
  return fmt::format("{:.1f} {}", value, unit);
}

std::string format_duration(std::chrono::milliseconds duration) {
  const auto ms = duration.count();
  const auto seconds = ms / 1000;
  if (ms < 1000) return fmt::format("{}ms", ms);
  if (seconds < 10 && ms % 1000 != 0) return fmt::format("{:.1f}s", static_cast<double>(ms) / 1000.0);
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m {:02}s", seconds / 60, seconds % 60);
  if (seconds < 86'400) return fmt::format("{}h {:02}m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{}d {}h", seconds / 86'400, seconds / 3600 % 24);
}

std::string format_count(std::uint64_t count) {
  std::string digits = fmt::format("{}", count);
  for (std::size_t place = digits.size(); place > 3;) digits.insert(place -= 3, 1, ',');
  return digits;
}

std::string format_rows(std::uint64_t count) {
  return format_count(count) + (count == 1 ? " row" : " rows");
}

}  // namespace tidegate
