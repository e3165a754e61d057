// The thread that owns the walsender connection: it receives into a bounded queue, and keeps the server
// content however long the other side of the queue takes.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "db/replication.hpp"

namespace tidegate {

// Wakes a thread that waits in poll().
class WakeUp {
 public:
  WakeUp();
  ~WakeUp();
  WakeUp(const WakeUp&) = delete;
  WakeUp& operator=(const WakeUp&) = delete;
  void ring();
  void clear();
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

// Messages in the order in which they came: the plugin's, and the positions of keepalives between them.
class ReceivedBatch {
 public:
  void add(std::string_view payload);
  void add_keepalive(postgres::Lsn end);
  bool empty() const { return items_.empty(); }
  std::size_t bytes() const { return bytes_.size() + items_.size() * sizeof(Item); }

  // A keepalive has no payload.
  template <typename OnPayload, typename OnKeepalive>
  void visit(OnPayload on_payload, OnKeepalive on_keepalive) const {
    std::size_t at = 0;
    for (const Item& item : items_) {
      if (item.size == 0) {
        on_keepalive(item.keepalive);
      } else {
        on_payload(std::string_view(bytes_).substr(at, item.size));
      }
      at += item.size;
    }
  }

 private:
  struct Item {
    std::size_t size = 0;
    postgres::Lsn keepalive = 0;
  };
  std::string bytes_;
  std::vector<Item> items_;
};

class CaptureReceiver {
 public:
  struct Options {
    std::size_t max_queue_bytes = 16 << 20;
    std::chrono::milliseconds status_interval{10000};
    postgres::Lsn held = 0;  // durable already
  };
  // `connection` must be streaming; it is this object's thread's from here on.
  CaptureReceiver(postgres::ReplicationConnection& connection, const Options& options);
  // Ends the stream cleanly, having told the server what is durable.
  ~CaptureReceiver();
  CaptureReceiver(const CaptureReceiver&) = delete;
  CaptureReceiver& operator=(const CaptureReceiver&) = delete;

  // What came next; nothing when nothing did within `timeout`, or after interrupt(). Throws what the
  // receiving met, once all that came before was taken.
  std::optional<ReceivedBatch> next(std::chrono::milliseconds timeout);
  void interrupt();  // from any thread, for good

  // All before `lsn` is durable; the server is told at once.
  void confirm(postgres::Lsn lsn);

  postgres::Lsn received() const { return received_; }
  postgres::Lsn server_end() const { return server_end_; }

 private:
  using Clock = std::chrono::steady_clock;
  void work();
  void receive_batch();
  bool receive_one(ReceivedBatch& batch, std::chrono::milliseconds timeout);
  void push(ReceivedBatch batch);
  void tell(bool at_once);
  std::chrono::milliseconds until_status() const;

  postgres::ReplicationConnection& connection_;
  Options options_;
  WakeUp wake_;
  std::atomic<postgres::Lsn> received_, durable_, server_end_{0};
  postgres::Lsn told_ = 0;
  Clock::time_point told_at_;
  std::atomic<bool> ending_{false};

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<ReceivedBatch> queue_;
  std::size_t queued_bytes_ = 0;
  std::exception_ptr failure_;
  bool interrupted_ = false;
  std::jthread thread_;
};

}  // namespace tidegate
