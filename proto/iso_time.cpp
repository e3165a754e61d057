#include "proto/iso_time.hpp"

#include <chrono>

namespace tidegate {
namespace {

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  std::optional<IsoTime> read() {
    const bool dated = text_.size() >= 10 && text_[4] == '-';
    if (dated && !date()) return std::nullopt;
    if (dated && done()) return found_;
    if (dated && !take(' ') && !take('T')) return std::nullopt;
    if (!time_of_day()) return std::nullopt;
    if (dated && !done() && !zone()) return std::nullopt;
    return done() ? std::optional(found_) : std::nullopt;
  }

 private:
  bool done() const { return at_ == text_.size(); }
  bool take(char c) { return !done() && text_[at_] == c ? (++at_, true) : false; }

  // Exactly `count` digits, at most `most`.
  bool digits(int count, int most, int& into) {
    into = 0;
    for (int i = 0; i < count; ++i, ++at_) {
      if (done() || text_[at_] < '0' || text_[at_] > '9') return false;
      into = into * 10 + (text_[at_] - '0');
    }
    return into <= most;
  }

  bool date() {
    found_.has_date = true;
    if (!digits(4, 9999, found_.year) || !take('-') || !digits(2, 12, found_.month) || !take('-') ||
        !digits(2, 31, found_.day) || found_.year == 0) {
      return false;
    }
    return (std::chrono::year(found_.year) / found_.month / found_.day).ok();
  }

  bool time_of_day() {
    found_.has_time = true;
    if (!digits(2, 23, found_.hour) || !take(':') || !digits(2, 59, found_.minute)) return false;
    if (take(':') && (!digits(2, 59, found_.second) || (take('.') && !fraction()))) return false;
    found_.fraction_end = at_;
    return true;
  }

  bool fraction() {
    const std::size_t start = at_;
    for (; !done() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      if (text_[at_] != '0') found_.fraction_digits = static_cast<unsigned>(at_ - start + 1);
    }
    return at_ > start;
  }

  bool zone() {
    found_.has_zone = true;
    take(' ');
    if (take('Z')) return true;
    const bool west = !done() && text_[at_] == '-';
    if (!take('+') && !take('-')) return false;
    int hours = 0, minutes = 0;
    if (!digits(2, 15, hours)) return false;
    const bool whole = done() || (take(':'), digits(2, 59, minutes));
    found_.zone_minutes = (west ? -1 : 1) * (hours * 60 + minutes);
    return whole;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  IsoTime found_;
};

}  // namespace

std::optional<IsoTime> parse_iso_time(std::string_view text) {
  if (text.size() < 5 || text[0] < '0' || text[0] > '9') return std::nullopt;
  return Reader(text).read();
}

bool is_zero_date(std::string_view text) {
  return text.starts_with("0000-00-00");
}

}  // namespace tidegate
