// The only file that knows Boost.Beast. One thread does all I/O; each request's handler has a thread of its
// own.
#include "replicator/control/api.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <optional>
#include <set>
#include <thread>

#include "replicator/failure.hpp"
#include "replicator/who.hpp"

namespace tidegate::control {

namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace fs = std::filesystem;
using boost::system::error_code;
using Local = net::local::stream_protocol;
using Stream = beast::basic_stream<Local>;

constexpr std::size_t largest_answer = 64 << 20;  // a list of the whole quarantine
constexpr std::chrono::seconds last_words{1};     // for answers that are being sent when the server stops
constexpr std::chrono::milliseconds pause_after_failure{100};  // of accept(): no descriptors left, say

Response error_response(int status, const Told& told, Exit exit) {
  return {status, "application/json", error_json(told, exit)};
}

// The kernel takes 107 bytes. A longer path is reached through a descriptor of its folder, which must stay
// open until the call with the path is done.
class SocketPath {
 public:
  explicit SocketPath(const fs::path& path) : path_(path.string()) {
    if (path_.size() < sizeof(sockaddr_un::sun_path)) return;
    folder_ = ::open(path.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder_ < 0) throw ExchangeError(Unreachable::no_socket, "its folder cannot be opened");
    path_ = fmt::format("/proc/self/fd/{}/{}", folder_, path.filename().string());
    if (path_.size() >= sizeof(sockaddr_un::sun_path))
      throw Coded<Usage>("socket-name-too-long", fmt::format("the socket's file name in {} is too long",
                                                             path.parent_path().string()));
  }
  ~SocketPath() {
    if (folder_ >= 0) ::close(folder_);
  }
  SocketPath(const SocketPath&) = delete;
  SocketPath& operator=(const SocketPath&) = delete;
  const std::string& text() const { return path_; }

 private:
  std::string path_;
  int folder_ = -1;
};

void remove_socket(const fs::path& path) {
  std::error_code ignored;  // a file that cannot be removed makes bind() fail, which is told
  if (fs::is_socket(fs::symlink_status(path, ignored))) fs::remove(path, ignored);
}

}  // namespace

class Connection;

class ApiServer::Impl {
 public:
  Impl(const fs::path& socket, Handler handler, ApiLimits limits);
  void stop();

  const Handler handler;
  const ApiLimits limits;
  net::io_context io{1};
  // The I/O thread's own:
  std::set<Connection*> connections;
  bool stopping = false;

 private:
  void listen();
  void accept();
  void end_all();

  const fs::path socket_;
  Local::acceptor acceptor_{io};
  net::steady_timer again_{io};
  std::thread thread_;
};

// Lives on the I/O thread; only handle() runs on another. Its steps: read, handle, write, close.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(ApiServer::Impl& server, Local::socket socket) : server_(server), stream_(std::move(socket)) {
    server_.connections.insert(this);
    parser_.body_limit(server_.limits.request_bytes);
  }
  ~Connection() { server_.connections.erase(this); }

  void read() {
    stream_.expires_after(server_.limits.read_time);
    http::async_read(stream_, buffer_, parser_, [self = shared_from_this()](error_code failure, std::size_t) {
      self->on_read(failure);
    });
  }

  void write(const Response& response) {
    stream_.expires_after(server_.stopping
                              ? std::min<std::chrono::milliseconds>(last_words, server_.limits.write_time)
                              : server_.limits.write_time);
    answer_.result(static_cast<unsigned>(response.status));
    answer_.set(http::field::content_type, response.content_type);
    answer_.keep_alive(false);
    answer_.body() = response.body;
    answer_.prepare_payload();
    http::async_write(stream_, answer_,
                      [self = shared_from_this()](error_code, std::size_t) { self->stream_.close(); });
  }

  // The server stops: a handler is told, a client that has not yet asked is hung up.
  void end() {
    stop_.request_stop();
    if (!handling_) stream_.cancel();
  }

 private:
  void on_read(error_code failure) {
    if (failure == http::error::body_limit || failure == http::error::header_limit)
      return write(error_response(413,
                                  {"request-too-large",
                                   fmt::format("a request may have {} bytes", server_.limits.request_bytes),
                                   "",
                                   {}},
                                  Exit::usage));
    if (failure.category() == http::make_error_code(http::error::end_of_stream).category() &&
        failure != http::error::end_of_stream && failure != http::error::partial_message)
      return write(error_response(400, {"bad-request", "this is not an HTTP request", "", {}}, Exit::usage));
    if (failure || server_.stopping) return stream_.close();
    start_handler();
  }

  void start_handler() {
    handling_ = true;
    keep_ = shared_from_this();
    busy_.emplace(server_.io.get_executor());
    stream_.expires_never();
    watch_for_hang_up();
    try {
      worker_ = std::thread([this, request = request_of()] { handle(request); });
    } catch (const std::system_error&) {
      on_handled(error_response(503, {"no-thread", "the system gives no more threads", "try again", {}},
                                Exit::failed));
      keep_.reset();
    }
  }

  Request request_of() const {
    const auto& message = parser_.get();
    const std::string target(message.target());
    const auto mark = target.find('?');
    return {std::string(message.method_string()),
            target.substr(0, mark),
            mark == std::string::npos ? "" : target.substr(mark + 1),
            message.body(),
            stop_.get_token(),
            peer()};
  }

  std::string peer() const {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    const int socket = const_cast<Stream&>(stream_).socket().native_handle();
    const bool known = ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0;
    return known ? who(credentials.uid) : "unknown";
  }

  void watch_for_hang_up() {
    stream_.socket().async_wait(Local::socket::wait_read, [self = shared_from_this()](error_code failure) {
      char byte = 0;
      const bool gone =
          !failure && ::recv(self->stream_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
      if (gone && self->handling_) self->stop_.request_stop();
    });
  }

  // On the worker's thread. Its last act hands the connection back; on_handled() then joins it.
  void handle(const Request& request) {
    Response response;
    try {
      response = server_.handler(request);
    } catch (const std::exception& failure) {
      response = failure_response(failure);
    }
    net::post(server_.io,
              [self = std::move(keep_), response = std::move(response)] { self->on_handled(response); });
  }

  void on_handled(const Response& response) {
    if (worker_.joinable()) worker_.join();
    handling_ = false;
    busy_.reset();
    stream_.socket().cancel();
    write(response);
  }

  ApiServer::Impl& server_;
  Stream stream_;
  beast::flat_buffer buffer_;
  http::request_parser<http::string_body> parser_;
  http::response<http::string_body> answer_;
  std::stop_source stop_;
  bool handling_ = false;
  std::shared_ptr<Connection> keep_;  // the worker's hold on the connection
  std::optional<net::executor_work_guard<net::io_context::executor_type>>
      busy_;  // keeps run() from returning
  std::thread worker_;
};

ApiServer::Impl::Impl(const fs::path& socket, Handler handler, ApiLimits limits)
    : handler(std::move(handler)), limits(limits), socket_(socket) {
  listen();
  accept();
  thread_ = std::thread([this] { io.run(); });
}

void ApiServer::Impl::listen() {
  try {
    const SocketPath path(socket_);
    remove_socket(socket_);
    acceptor_.open();
    acceptor_.bind(Local::endpoint(path.text()));
    fs::permissions(socket_, fs::perms::owner_read | fs::perms::owner_write);
    acceptor_.listen();  // only now can anybody connect
  } catch (const boost::system::system_error& failure) {
    throw Error(fmt::format("cannot listen on {}: {}", socket_.string(), failure.code().message()), "",
                Advice::stop);
  } catch (const std::system_error& failure) {
    throw Error(fmt::format("cannot listen on {}: {}", socket_.string(), failure.code().message()), "",
                Advice::stop);
  }
}

void ApiServer::Impl::accept() {
  acceptor_.async_accept([this](error_code failure, Local::socket socket) {
    if (stopping) return;
    if (failure) {
      again_.expires_after(pause_after_failure);
      return again_.async_wait([this](error_code ended) {
        if (!ended && !stopping) accept();
      });
    }
    const bool full = connections.size() >= limits.connections;
    const auto connection = std::make_shared<Connection>(*this, std::move(socket));
    if (full)
      connection->write(
          error_response(503,
                         {"too-many-connections",
                          fmt::format("{} connections are open, which is the limit", limits.connections),
                          "end one, and try again",
                          {}},
                         Exit::failed));
    else
      connection->read();
    accept();
  });
}

void ApiServer::Impl::end_all() {
  stopping = true;
  error_code ignored;
  acceptor_.close(ignored);
  again_.cancel();
  // Cancelled reads end later, on this thread: no connection leaves the set while it is walked.
  for (Connection* connection : connections) connection->end();
}

void ApiServer::Impl::stop() {
  if (!thread_.joinable()) return;
  net::post(io, [this] { end_all(); });
  thread_.join();
  remove_socket(socket_);
}

ApiServer::ApiServer(const fs::path& socket, Handler handler, ApiLimits limits)
    : impl_(std::make_unique<Impl>(socket, std::move(handler), limits)) {}

ApiServer::~ApiServer() {
  stop();
}

void ApiServer::stop() {
  impl_->stop();
}

Response not_found(const Request& request) {
  return error_response(404,
                        {"no-such-path",
                         fmt::format("the API has no {} {}", request.method, request.path),
                         "is the daemon of the same version?",
                         {}},
                        Exit::usage);
}

Response failure_response(const std::exception& failure) {
  const Exit exit = exit_of(failure);
  const int status = exit == Exit::usage       ? 400
                     : exit == Exit::refused   ? 409
                     : exit == Exit::timed_out ? 504
                                               : 500;
  return error_response(status, told(failure), exit);
}

namespace {

Unreachable why(int reason) {
  switch (reason) {
    case ENOENT:
    case ENOTDIR:
      return Unreachable::no_socket;
    case ECONNREFUSED:
      return Unreachable::nobody_listens;
    case EACCES:
    case EPERM:
      return Unreachable::no_permission;
    default:
      return Unreachable::other;
  }
}

// A plain blocking connect: it waits for a place in the server's queue, for `timeout` at most (SO_SNDTIMEO).
Local::socket connected(net::io_context& io, const fs::path& socket, std::chrono::milliseconds timeout) {
  const SocketPath path(socket);
  Local::socket made(io);
  made.open(Local());
  const timeval time{timeout.count() / 1000, timeout.count() % 1000 * 1000};
  ::setsockopt(made.native_handle(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
  const Local::endpoint end(path.text());
  if (::connect(made.native_handle(), end.data(), static_cast<socklen_t>(end.size())) == 0) return made;
  const int reason = errno;
  if (reason == EAGAIN) throw ExchangeTimeout("connecting timed out");
  throw ExchangeError(why(reason), error_code(reason, boost::system::system_category()).message());
}

// Starts one asynchronous step and waits for its end.
template <typename Start>
error_code finish(net::io_context& io, Start start) {
  error_code result;
  start([&](error_code failure, std::size_t) { result = failure; });
  io.restart();
  io.run();
  if (result == beast::error::timeout) throw ExchangeTimeout("no answer in time");
  return result;
}

http::request<http::string_body> message_of(const Request& request) {
  const std::string target = request.query.empty() ? request.path : request.path + "?" + request.query;
  http::request<http::string_body> message(http::string_to_verb(request.method), target, 11);
  message.set(http::field::host, "tidegate");
  message.set(http::field::content_type, "application/json");
  message.keep_alive(false);
  message.body() = request.body;
  message.prepare_payload();
  return message;
}

}  // namespace

Response exchange(const fs::path& socket, const Request& request, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  net::io_context io{1};
  Stream stream(connected(io, socket, std::max(timeout, std::chrono::milliseconds(1))));
  stream.expires_at(deadline);
  const auto message = message_of(request);
  // A server that refuses the request may hang up before it has read it; its answer is there all the same.
  finish(io, [&](auto&& done) { http::async_write(stream, message, done); });
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(largest_answer);
  if (const auto failure = finish(io, [&](auto&& done) { http::async_read(stream, buffer, parser, done); }))
    throw ExchangeError(Unreachable::other, "the answer broke off: " + failure.message());
  auto& answer = parser.get();
  return {static_cast<int>(answer.result_int()), std::string(answer[http::field::content_type]),
          std::move(answer.body())};
}

}  // namespace tidegate::control
