// The API over real Unix sockets: server and client together.
#include "replicator/control/api.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <future>
#include <latch>
#include <mutex>
#include <thread>

#include "replicator/control/client.hpp"
#include "replicator/state_dir.hpp"

namespace tidegate::control {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class Api : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder); }
  void TearDown() override { fs::remove_all(folder); }

  Response ask(const std::string& method, const std::string& path, const std::string& body = "",
               std::chrono::milliseconds time = 5s) {
    return exchange(socket(), {method, path, "", body, {}}, time);
  }
  fs::path socket() const { return api_socket(folder); }

  fs::path folder = fs::temp_directory_path() / fmt::format("tidegate-api-{}", getpid());
};

Response echo(const Request& request) {
  return {200, "text/plain", request.method + " " + request.path + "?" + request.query + " " + request.body};
}

// Waits until it is told to stop, as a long poll does.
Response wait_for_stop(const Request& request) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait(lock, request.stop, [] { return false; });
  return {200, "text/plain", "stopped"};
}

int raw_connection(const fs::path& socket) {
  const int made = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket.string().copy(address.sun_path, sizeof address.sun_path - 1);
  EXPECT_EQ(::connect(made, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return made;
}

std::string read_to_end(int descriptor) {
  std::string all;
  char some[4096];
  for (ssize_t got; (got = ::read(descriptor, some, sizeof some)) > 0;)
    all.append(some, static_cast<std::size_t>(got));
  return all;
}

TEST_F(Api, ARequestIsAnswered) {
  ApiServer server(socket(), echo);
  const Response response = exchange(socket(), {"POST", "/v1/x", "a=1&b", "the body", {}}, 5s);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.content_type, "text/plain");
  EXPECT_EQ(response.body, "POST /v1/x?a=1&b the body");
}

TEST_F(Api, TheSocketIsPrivateAndGoesWithTheServer) {
  {
    ApiServer server(socket(), echo);
    struct stat facts {};
    ASSERT_EQ(stat(socket().c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777, 0600u);
  }
  EXPECT_FALSE(fs::exists(socket()));
}

TEST_F(Api, AStaleSocketIsReplacedAndAFileIsNot) {
  {
    const int stale = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket().string().copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(stale, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::close(stale);
  }
  {
    ApiServer server(socket(), echo);
    EXPECT_EQ(ask("GET", "/").status, 200);
  }
  ::close(::open(socket().c_str(), O_CREAT | O_WRONLY, 0600));
  EXPECT_THROW(ApiServer(socket(), echo), Error);
  EXPECT_TRUE(fs::exists(socket()));
}

TEST_F(Api, PathsLongerThanTheKernelTakes) {
  folder /= std::string(120, 'x');
  fs::create_directories(folder);
  ApiServer server(socket(), echo);
  EXPECT_EQ(ask("GET", "/long").body, "GET /long? ");
  folder = folder.parent_path();
}

TEST_F(Api, AHandlersExceptionBecomesAnAnswer) {
  ApiServer server(socket(), [](const Request& request) -> Response {
    if (request.path == "/refused") throw Coded<Refused>("phase", "not in this phase", "wait");
    throw std::runtime_error("broken");
  });
  const Response refused = ask("POST", "/refused");
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(refused.body,
            R"({"error":{"code":"phase","message":"not in this phase","mend":"wait","exit":2}})");
  EXPECT_EQ(ask("GET", "/x").status, 500);
}

TEST_F(Api, TheClientThrowsWhatTheDaemonAnswered) {
  ApiServer server(socket(), [](const Request&) -> Response {
    throw Coded<Refused>("phase", "not in this phase", "wait");
  });
  try {
    call(folder, "POST", "/v1/pause", "{}", 5s);
    FAIL();
  } catch (const std::exception& failure) {
    EXPECT_EQ(exit_of(failure), Exit::refused);
    EXPECT_EQ(told(failure).code, "phase");
    EXPECT_STREQ(failure.what(), "not in this phase; wait");
  }
}

TEST_F(Api, WithoutADaemonTheClientSaysHowToStartOne) {
  for (const bool stale : {false, true}) {
    if (stale) {
      ApiServer server(socket(), echo);
      fs::create_hard_link(socket(), folder / "kept");
    }
    if (stale) fs::rename(folder / "kept", socket());
    try {
      call(folder, "GET", "/v1/status", "", 5s);
      FAIL();
    } catch (const NotRunning& failure) {
      EXPECT_NE(
          std::string(failure.what()).find("no tidegate daemon runs on state directory " + folder.string()),
          std::string::npos);
      EXPECT_NE(std::string(failure.what()).find("tidegate run"), std::string::npos);
      EXPECT_EQ(exit_of(failure), Exit::failed);
    }
  }
}

TEST_F(Api, ADaemonThatHoldsTheLockButDoesNotAnswerIsNotSaidToBeStopped) {
  const StateDir held(folder, "p");
  try {
    call(folder, "GET", "/v1/status", "", 5s);
    FAIL();
  } catch (const NotRunning&) {
    FAIL();
  } catch (const std::exception& failure) {
    EXPECT_NE(std::string(failure.what()).find(std::to_string(getpid())), std::string::npos);
  }
}

TEST_F(Api, ManyLongPollsWaitBesideShortRequests) {
  constexpr int polls = 40;
  std::latch all_wait(polls);
  ApiServer server(socket(), [&](const Request& request) {
    if (request.path != "/poll") return echo(request);
    all_wait.count_down();
    return wait_for_stop(request);
  });
  std::vector<std::future<Response>> waiting;
  for (int i = 0; i < polls; ++i)
    waiting.push_back(std::async(std::launch::async, [&] { return ask("GET", "/poll", "", 30s); }));
  all_wait.wait();
  EXPECT_EQ(ask("GET", "/now").status, 200);
  server.stop();
  for (auto& one : waiting) EXPECT_EQ(one.get().body, "stopped");
}

TEST_F(Api, MoreConnectionsThanTheLimitAreAnswered503) {
  std::latch both_wait(2);
  ApiServer server(socket(),
                   [&](const Request& request) {
                     both_wait.count_down();
                     return wait_for_stop(request);
                   },
                   {.connections = 2});
  auto first = std::async(std::launch::async, [&] { return ask("GET", "/", "", 30s); });
  auto second = std::async(std::launch::async, [&] { return ask("GET", "/", "", 30s); });
  both_wait.wait();
  EXPECT_EQ(ask("GET", "/").status, 503);
  server.stop();
  EXPECT_EQ(first.get().status, 200);
  EXPECT_EQ(second.get().status, 200);
}

TEST_F(Api, AnOversizedRequestIsRefusedUnread) {
  std::atomic<int> handled = 0;
  ApiServer server(socket(), [&](const Request& request) {
    ++handled;
    return echo(request);
  });
  const Response response = ask("POST", "/v1/quarantine/retry", std::string(8 << 20, 'x'));
  EXPECT_EQ(response.status, 413);
  EXPECT_EQ(handled, 0);
  EXPECT_EQ(ask("POST", "/", std::string(1 << 20, 'x')).status, 200);
}

TEST_F(Api, NonsenseIsAnswered400) {
  ApiServer server(socket(), echo);
  const int raw = raw_connection(socket());
  ASSERT_GT(::write(raw, "hello there\r\n\r\n", 15), 0);
  EXPECT_EQ(read_to_end(raw).rfind("HTTP/1.1 400", 0), 0u);
  ::close(raw);
}

TEST_F(Api, ASlowClientLosesItsPlace) {
  ApiServer server(socket(), echo, {.connections = 1, .read_time = 100ms});
  const int slow = raw_connection(socket());
  ASSERT_GT(::write(slow, "GET / HT", 8), 0);
  EXPECT_EQ(read_to_end(slow), "");  // hung up by the server
  ::close(slow);
  EXPECT_EQ(ask("GET", "/").status, 200);
}

TEST_F(Api, AClientThatDoesNotReadItsAnswerLosesItsPlace) {
  const auto much_for_the_deaf = [](const Request& request) {
    return Response{200, "text/plain", std::string(request.path == "/much" ? 2 << 20 : 2, 'x')};
  };
  ApiServer server(socket(), much_for_the_deaf, {.connections = 1, .write_time = 200ms});
  const int deaf = raw_connection(socket());
  ASSERT_GT(::write(deaf, "GET /much HTTP/1.1\r\n\r\n", 22), 0);
  Response response{503, "", ""};
  for (int tries = 0; tries < 500 && response.status == 503; ++tries) {
    response = ask("GET", "/");
    if (response.status == 503) std::this_thread::sleep_for(20ms);
  }
  EXPECT_EQ(response.status, 200);
  EXPECT_LT(read_to_end(deaf).size(), 2u << 20);
  ::close(deaf);
}

TEST_F(Api, AHangUpStopsTheHandlersToken) {
  std::promise<void> stopped;
  std::latch begun(1);
  ApiServer server(socket(), [&](const Request& request) {
    begun.count_down();
    const Response response = wait_for_stop(request);
    stopped.set_value();
    return response;
  });
  const int raw = raw_connection(socket());
  ASSERT_GT(::write(raw, "GET / HTTP/1.1\r\n\r\n", 18), 0);
  begun.wait();
  ::close(raw);
  EXPECT_EQ(stopped.get_future().wait_for(10s), std::future_status::ready);
}

TEST_F(Api, AClientGivesUpAfterItsTime) {
  ApiServer server(socket(), wait_for_stop);
  EXPECT_THROW(ask("GET", "/", "", 50ms), ExchangeTimeout);
  try {
    call(folder, "POST", "/v1/sync", "{}", 50ms);
    FAIL();
  } catch (const std::exception& failure) {
    EXPECT_EQ(exit_of(failure), Exit::timed_out);
  }
}

TEST_F(Api, StopHangsUpOnAClientThatNeverAsked) {
  auto server = std::make_unique<ApiServer>(socket(), echo);
  const int idle = raw_connection(socket());
  EXPECT_EQ(ask("GET", "/").status, 200);  // the idle connection was accepted before this one
  server.reset();
  EXPECT_EQ(read_to_end(idle), "");
  ::close(idle);
}

TEST_F(Api, StopUnderLoadAnswersOrHangsUpAndNeverHangs) {
  for (int round = 0; round < 20; ++round) {
    auto server = std::make_unique<ApiServer>(socket(), echo);
    std::vector<std::jthread> clients;
    std::atomic<int> answered = 0;
    for (int i = 0; i < 4; ++i)
      clients.emplace_back([&](std::stop_token stop) {
        while (!stop.stop_requested()) try {
            if (ask("GET", "/").status == 200) ++answered;
          } catch (const ExchangeError&) {  // the server is gone
          }
      });
    while (answered < 20) std::this_thread::yield();
    server.reset();
  }
}

}  // namespace
}  // namespace tidegate::control
