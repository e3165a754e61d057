#include "capture/postgres/rounds.hpp"

#include <chrono>
#include <future>

#include "db/error.hpp"
#include "db/failpoint.hpp"
#include "db/replication.hpp"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

constexpr auto look_for_stop = 50ms;

postgres::ConnectOptions as_walsender(postgres::ConnectOptions options) {
  options.replication = true;
  return options;
}

}  // namespace

// The server waits for transactions that are open there, as long as they take; another connection ends that.
Round::Round(const postgres::ConnectOptions& source, const std::string& slot, const std::stop_token& stop)
    : walsender_(as_walsender(source)) {
  std::string name = slot + "_" + std::to_string(walsender_.backend_pid());
  walsender_.run("SET lock_timeout = 0");
  auto made = std::async(std::launch::async, [&] { create_slot(name); });
  while (made.wait_for(look_for_stop) == std::future_status::timeout) {
    if (!stop.stop_requested()) continue;
    postgres::Connection(source).run("SELECT pg_catalog.pg_cancel_backend($1)",
                                     {std::to_string(walsender_.backend_pid())});
  }
  try {
    made.get();
  } catch (const Error& error) {
    if (!stop.stop_requested()) throw;
    throw Error(error.what(), error.code(), Advice::retry);
  }
  failpoint("round-begun");
}

void Round::create_slot(const std::string& name) {
  auto made =
      walsender_.run("CREATE_REPLICATION_SLOT " + name + " TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT");
  consistent_point_ = postgres::parse_lsn(made.text(0, 1));
  snapshot_ = made.text(0, 2);
}

}  // namespace tidegate
