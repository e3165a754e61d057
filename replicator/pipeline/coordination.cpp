#include "replicator/pipeline/coordination.hpp"

#include <fmt/chrono.h>

#include <algorithm>
#include <utility>

namespace tidegate {
namespace {

constexpr std::size_t max_errors_shown = 10;

}  // namespace

std::string iso_now() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
}

void Coordination::update(const std::function<void(Status&)>& change) {
  std::lock_guard lock(mutex_);
  change(status_);
}

Status Coordination::status() const {
  std::lock_guard lock(mutex_);
  return status_;
}

void Coordination::report(const std::string& code, const std::string& message, const std::string& table) {
  std::lock_guard lock(mutex_);
  auto& errors = status_.errors;
  std::erase_if(errors,
                [&](const StatusError& error) { return error.code == code && error.message == message; });
  errors.push_back({iso_now(), code, message, table});
  if (errors.size() > max_errors_shown) errors.erase(errors.begin());
}

void Coordination::clear_report(const std::string& code) {
  std::lock_guard lock(mutex_);
  std::erase_if(status_.errors, [&](const StatusError& error) { return error.code == code; });
}

void Coordination::clear_report(const std::string& code, const std::string& table) {
  std::lock_guard lock(mutex_);
  std::erase_if(status_.errors,
                [&](const StatusError& error) { return error.code == code && error.table == table; });
}

void Coordination::capture_waits() {
  std::lock_guard lock(mutex_);
  if (!capture_waits_since_) capture_waits_since_ = Clock::now();
}

void Coordination::capture_works() {
  std::lock_guard lock(mutex_);
  capture_waits_since_.reset();
}

std::chrono::duration<double> Coordination::capture_has_waited() const {
  std::lock_guard lock(mutex_);
  return capture_waits_since_ ? Clock::now() - *capture_waits_since_ : Clock::duration::zero();
}

std::uint64_t Coordination::want_cut() {
  std::lock_guard lock(mutex_);
  ++work_;
  changed();
  return ++cuts_wanted_;
}

std::uint64_t Coordination::want_full_cut() {
  std::lock_guard lock(mutex_);
  ++work_;
  full_wanted_ = true;
  changed();
  return ++cuts_wanted_;
}

bool Coordination::take_full_wish() {
  std::lock_guard lock(mutex_);
  return std::exchange(full_wanted_, false);
}

bool Coordination::cut_wanted() const {
  std::lock_guard lock(mutex_);
  return cuts_wanted_ > cuts_served_;
}

std::uint64_t Coordination::begin_cut() {
  std::lock_guard lock(mutex_);
  return cuts_wanted_;
}

void Coordination::cut_done(std::uint64_t wish, std::uint64_t journal_end) {
  std::lock_guard lock(mutex_);
  if (captured_ != journal_end || wish > cuts_served_) ++work_;
  cuts_served_ = std::max(cuts_served_, wish);
  captured_ = journal_end;
  changed();
}

std::optional<std::uint64_t> Coordination::wait_for_cut(std::uint64_t wish, Clock::time_point until,
                                                        std::stop_token stop) {
  std::unique_lock lock(mutex_);
  if (!wake_.wait_until(lock, stop, until, [&] { return cuts_served_ >= wish; })) return std::nullopt;
  return captured_;
}

void Coordination::wait_for_wish(std::uint64_t known, std::chrono::milliseconds most, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, stop, most, [&] { return cuts_wanted_ > known; });
}

void Coordination::applied(std::uint64_t sequence) {
  std::lock_guard lock(mutex_);
  applied_ = sequence;
  changed();
}

std::uint64_t Coordination::applied() const {
  std::lock_guard lock(mutex_);
  return applied_;
}

void Coordination::keep_from(std::optional<std::uint64_t> sequence) {
  std::lock_guard lock(mutex_);
  kept_from_ = sequence;
}

std::uint64_t Coordination::needed_no_more() const {
  std::lock_guard lock(mutex_);
  return std::min(applied_, kept_from_.value_or(applied_));
}

bool Coordination::wait_for_applied(std::uint64_t sequence, Clock::time_point until, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  return wake_.wait_until(lock, stop, until, [&] { return streaming_ && applied_ >= sequence; });
}

std::uint64_t Coordination::work_so_far() const {
  std::lock_guard lock(mutex_);
  return work_;
}

void Coordination::wait_for_work(std::uint64_t known, std::chrono::milliseconds most, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, stop, most, [&] { return work_ != known; });
}

void Coordination::streaming(bool is) {
  std::lock_guard lock(mutex_);
  streaming_ = is;
  changed();
}

bool Coordination::is_streaming() const {
  std::lock_guard lock(mutex_);
  return streaming_;
}

void Coordination::wake_apply() {
  std::lock_guard lock(mutex_);
  ++work_;
  changed();
}

void Coordination::park(bool parked) {
  std::unique_lock lock(mutex_);
  parked_ = parked;
  changed();
  wake_.wait(lock, stop_.get_token(), [&] { return !in_cut_; });
}

bool Coordination::parked() const {
  std::lock_guard lock(mutex_);
  return parked_;
}

bool Coordination::enter_cut() {
  std::lock_guard lock(mutex_);
  in_cut_ = !parked_;
  return in_cut_;
}

void Coordination::leave_cut() {
  std::lock_guard lock(mutex_);
  in_cut_ = false;
  changed();
}

void Coordination::pause(bool paused) {
  std::lock_guard lock(mutex_);
  if (paused_ != paused) ++work_;
  paused_ = paused;
  changed();
}

bool Coordination::paused() const {
  std::lock_guard lock(mutex_);
  return paused_;
}

void Coordination::throttle(std::optional<std::uint64_t> rows_per_second) {
  std::lock_guard lock(mutex_);
  throttle_ = rows_per_second;
  status_.throttle_rows_per_second = rows_per_second;
}

std::optional<std::uint64_t> Coordination::throttle() const {
  std::lock_guard lock(mutex_);
  return throttle_;
}

void Coordination::fail(std::exception_ptr failure) {
  std::lock_guard lock(mutex_);
  if (!failure_) failure_ = failure;
  stop_.request_stop();
  changed();
}

void Coordination::request_stop() {
  std::lock_guard lock(mutex_);
  stop_.request_stop();
  changed();
}

void Coordination::wait_for_end() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [&] { return stop_.stop_requested(); });
  if (failure_) std::rethrow_exception(failure_);
}

}  // namespace tidegate
