#include "capture/postgres/capture_receiver.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "db/error.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

using std::chrono::milliseconds;

// Large enough that the queue's lock costs nothing beside it.
constexpr std::size_t max_batch_bytes = 256 << 10;
constexpr milliseconds time_to_end{2000};

}  // namespace

WakeUp::WakeUp() : descriptor_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (descriptor_ < 0) throw Error("eventfd: " + std::system_category().message(errno), "", Advice::stop);
}
WakeUp::~WakeUp() {
  close(descriptor_);
}
void WakeUp::ring() {
  eventfd_write(descriptor_, 1);
}
void WakeUp::clear() {
  eventfd_t count = 0;
  eventfd_read(descriptor_, &count);
}

void ReceivedBatch::add(std::string_view payload) {
  if (payload.empty()) return;
  bytes_ += payload;
  items_.push_back({payload.size(), 0});
}

// Of keepalives that follow each other the last says all.
void ReceivedBatch::add_keepalive(postgres::Lsn end) {
  if (!items_.empty() && items_.back().size == 0) {
    items_.back().keepalive = end;
  } else {
    items_.push_back({0, end});
  }
}

CaptureReceiver::CaptureReceiver(postgres::ReplicationConnection& connection, const Options& options)
    : connection_(connection),
      options_(options),
      received_(options.held),
      durable_(options.held),
      told_at_(Clock::now()),
      thread_([this] { work(); }) {}

CaptureReceiver::~CaptureReceiver() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  wake_.ring();
}

void CaptureReceiver::work() {
  try {
    tell(true);
    while (!ending_) receive_batch();
    tell(true);
    connection_.end(time_to_end);
  } catch (...) {
    std::lock_guard lock(mutex_);
    failure_ = std::current_exception();
  }
  changed_.notify_all();
}

milliseconds CaptureReceiver::until_status() const {
  auto left = std::chrono::ceil<milliseconds>(told_at_ + options_.status_interval - Clock::now());
  return std::max(left, milliseconds(0));
}

void CaptureReceiver::tell(bool at_once) {
  postgres::Lsn durable = durable_;
  if (durable != told_) failpoint("stream-before-feedback");
  if (!at_once && durable == told_ && until_status().count() > 0) return;
  connection_.feedback(std::max<postgres::Lsn>(received_, durable), durable, durable, false);
  told_ = durable;
  told_at_ = Clock::now();
}

// True where something came.
bool CaptureReceiver::receive_one(ReceivedBatch& batch, milliseconds timeout) {
  auto received = connection_.receive(timeout, wake_.descriptor());
  if (auto* data = std::get_if<postgres::XLogData>(&received)) {
    batch.add(data->payload);
    received_ = std::max<postgres::Lsn>(received_, data->start);
    server_end_ = std::max<postgres::Lsn>(server_end_, data->end);
    return true;
  }
  if (auto* keepalive = std::get_if<postgres::Keepalive>(&received)) {
    batch.add_keepalive(keepalive->end);
    received_ = std::max<postgres::Lsn>(received_, keepalive->end);
    server_end_ = std::max<postgres::Lsn>(server_end_, keepalive->end);
    if (keepalive->reply_requested) tell(true);
    return true;
  }
  return false;
}

// Waits for the first message only; what is there with it comes along.
void CaptureReceiver::receive_batch() {
  ReceivedBatch batch;
  if (receive_one(batch, until_status())) {
    while (batch.bytes() < max_batch_bytes && receive_one(batch, milliseconds(0))) {
    }
  }
  wake_.clear();
  tell(false);
  if (!batch.empty()) push(std::move(batch));
}

// While the queue is full nothing is received, and TCP holds the server back; it still hears from us.
void CaptureReceiver::push(ReceivedBatch batch) {
  std::unique_lock lock(mutex_);
  while (!ending_ && queued_bytes_ > 0 && queued_bytes_ + batch.bytes() > options_.max_queue_bytes) {
    changed_.wait_for(lock, std::max(until_status(), milliseconds(1)));
    lock.unlock();
    tell(false);
    lock.lock();
  }
  queued_bytes_ += batch.bytes();
  queue_.push_back(std::move(batch));
  changed_.notify_all();
}

std::optional<ReceivedBatch> CaptureReceiver::next(milliseconds timeout) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, timeout, [this] { return !queue_.empty() || failure_ || interrupted_; });
  if (interrupted_) return std::nullopt;
  if (queue_.empty()) {
    if (failure_) std::rethrow_exception(failure_);
    return std::nullopt;
  }
  ReceivedBatch batch = std::move(queue_.front());
  queue_.pop_front();
  queued_bytes_ -= batch.bytes();
  changed_.notify_all();
  return batch;
}

void CaptureReceiver::interrupt() {
  {
    std::lock_guard lock(mutex_);
    interrupted_ = true;
  }
  changed_.notify_all();
}

void CaptureReceiver::confirm(postgres::Lsn lsn) {
  durable_ = lsn;
  wake_.ring();
}

}  // namespace tidegate
