#include "replicator/verify/xid_snapshot.hpp"

#include <charconv>
#include <stdexcept>

namespace tidegate::verify {
namespace {

std::uint64_t number_in(std::string_view text) {
  std::uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size())
    throw std::invalid_argument("not a snapshot of transactions");
  return number;
}

}  // namespace

XidSnapshot::XidSnapshot(std::string_view text) {
  auto first = text.find(':'), second = text.rfind(':');
  if (first == second) throw std::invalid_argument("not a snapshot of transactions");
  next_ = number_in(text.substr(first + 1, second - first - 1));
  for (std::string_view rest = text.substr(second + 1); !rest.empty();) {
    auto comma = rest.find(',');
    in_progress_.insert(number_in(rest.substr(0, comma)));
    rest = comma == rest.npos ? "" : rest.substr(comma + 1);
  }
}

// Of all numbers that end like this, the one nearest to the snapshot: no two transactions that live at a time
// are half the numbers apart.
bool XidSnapshot::sees(std::uint32_t xid) const {
  constexpr std::uint64_t epoch = std::uint64_t{1} << 32;
  std::uint64_t full = (next_ & ~(epoch - 1)) | xid;
  if (full > next_ + epoch / 2 && full >= epoch) full -= epoch;
  if (full + epoch / 2 < next_) full += epoch;
  return full < next_ && !in_progress_.contains(full);
}

}  // namespace tidegate::verify
