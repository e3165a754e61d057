// The daemon's HTTP/JSON server on a Unix socket, and the one exchange that a client needs. One request per
// connection.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

namespace tidegate::control {

struct Request {
  std::string method;  // "GET"
  std::string path;    // "/v1/status", without the query, not percent-decoded
  std::string query;   // "follow=1"
  std::string body;
  // Stops when the server stops or the client hangs up: a handler that waits must wait on it too.
  std::stop_token stop;
  std::string by = {};  // "name@host" of the process at the other end, as the kernel says; set by the server
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
};

// Called on a thread of its own for each request, so it may wait. An exception is answered as {"error": …}
// with the exit code that it would have on the command line.
using Handler = std::function<Response(const Request&)>;

struct ApiLimits {
  std::size_t connections = 64;         // long polls included; more are answered 503 at once
  std::size_t request_bytes = 1 << 20;  // body; the largest is a list of quarantine ids
  std::chrono::milliseconds read_time{
      10'000};  // for a whole request: a slow client holds its place no longer
  std::chrono::milliseconds write_time{10'000};  // for a whole answer
};

class ApiServer {
 public:
  // Listens (mode 0600) when it returns. A socket file that is there is removed: the caller holds the state
  // directory's lock, so it is a dead daemon's. Throws Error. Paths over the kernel's 107 bytes work.
  ApiServer(const std::filesystem::path& socket, Handler handler, ApiLimits limits = {});
  // As stop().
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  // Accepts no more, stops every request's token, waits for the handlers, sends their answers (for a second
  // at most), and removes the socket. Must not be called by a handler.
  void stop();

  class Impl;  // of api.cpp

 private:
  std::unique_ptr<Impl> impl_;
};

// 404 for a path that the handler does not know, 405 for a method.
Response not_found(const Request& request);
// What an exception answers: 4xx for Usage and Refused, 504 for a time-out, else 500.
Response failure_response(const std::exception& failure);

enum class Unreachable { no_socket, nobody_listens, no_permission, other };
struct ExchangeError : std::runtime_error {
  ExchangeError(Unreachable why, const std::string& text) : std::runtime_error(text), why(why) {}
  Unreachable why;
};
struct ExchangeTimeout : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// One request and its answer. Throws ExchangeError, or ExchangeTimeout after `timeout` in all.
Response exchange(const std::filesystem::path& socket, const Request& request,
                  std::chrono::milliseconds timeout);

}  // namespace tidegate::control
