#include "replicator/cutover/writers_seen.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <thread>

#include "db/error.hpp"
#include "replicator/log.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using std::chrono::system_clock;

constexpr auto watched_afterwards = 1s;
constexpr std::chrono::seconds remembered_for = 24h;
constexpr const char* fact = "rehearsed_writers";  // "UNIX-SECONDS SENTENCE"

std::int64_t unix_milliseconds() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(system_clock::now().time_since_epoch())
      .count();
}

std::string utc_now() {
  const auto now = unix_milliseconds();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(static_cast<std::time_t>(now / 1000)),
                     now % 1000);
}

}  // namespace

std::optional<WritersWatch::Counted> WritersWatch::count() {
  try {
    if (const auto commits = legacy_.commits()) return Counted{*commits, steady_clock::now()};
  } catch (const Error& failure) {
    log_debug("counting commits: {}", failure.what());
  }
  return std::nullopt;
}

void WritersWatch::locked() {
  seen_.held_from = utc_now();
  seen_.in_transaction = legacy_.in_transaction();
}

void WritersWatch::released() {
  seen_.held_until = utc_now();
  let_go_ = count();
}

// The counter is of 32 bits, and goes round.
std::optional<WritersSeen> WritersWatch::afterwards() {
  if (seen_.held_from.empty() || !begun_ || !ready_) return std::nullopt;
  const auto rate = [](const Counted& from, const Counted& to) {
    return static_cast<double>(to.commits - from.commits) /
           std::chrono::duration<double>(to.at - from.at).count();
  };
  seen_.commits_per_second = rate(*begun_, *ready_);
  if (!let_go_) return seen_;
  std::this_thread::sleep_until(let_go_->at + watched_afterwards);
  if (const auto later = count()) seen_.commits_afterwards = rate(*let_go_, *later);
  return seen_;
}

std::string in_words(const WritersSeen& seen) {
  std::string text = fmt::format(
      "the rehearsal held the file from {} to {}; {:.1f} transactions a second were committed before it",
      seen.held_from, seen.held_until, seen.commits_per_second);
  if (seen.commits_afterwards)
    text += fmt::format(", {:.1f} in the second after it", *seen.commits_afterwards);
  text += seen.in_transaction.empty()
              ? "; no program had one open when the lock was taken"
              : fmt::format("; programs that had one open when the lock was taken: {}",
                            fmt::join(seen.in_transaction, ", "));
  return text + "; how many failed only the application's own log of that time says";
}

void remember(ControlStore& store, const WritersSeen& seen) {
  store.set_fact(fact, fmt::format("{} {}", unix_milliseconds() / 1000, in_words(seen)));
}

std::optional<std::string> remembered(ControlStore& store) {
  const auto kept = store.fact(fact);
  if (!kept) return std::nullopt;
  std::int64_t at = 0;
  const char* const kept_end = kept->data() + kept->size();
  const auto [end, failure] = std::from_chars(kept->data(), kept_end, at);
  if (failure != std::errc() || unix_milliseconds() / 1000 - at > remembered_for.count()) return std::nullopt;
  return std::string(end + (end != kept_end), kept_end);
}

}  // namespace tidegate::cutover
