#include "replicator/control/client.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "replicator/config/units.hpp"
#include "replicator/state_dir.hpp"

namespace tidegate::control {

namespace {

namespace json = boost::json;

std::string word(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value && value->is_string() ? std::string(value->get_string()) : "";
}

std::optional<Exit> exit_in(const json::object& object) {
  const auto* value = object.if_contains("exit");
  if (!value || !value->is_int64() || value->get_int64() < 1 || value->get_int64() > 5) return {};
  return static_cast<Exit>(value->get_int64());
}

[[noreturn]] void throw_answer(const Response& response) {
  boost::system::error_code failure;
  const json::value body = json::parse(response.body, failure);
  const json::object* error = nullptr;
  if (!failure && body.is_object())
    if (const auto* member = body.get_object().if_contains("error")) error = member->if_object();
  if (!error)
    throw Coded<std::runtime_error>("failed",
                                    fmt::format("the daemon answered with HTTP status {}", response.status),
                                    "is it of the same version? see its log");
  throw Coded<std::runtime_error>(word(*error, "code"), word(*error, "message"), word(*error, "mend"),
                                  exit_in(*error).value_or(Exit::failed));
}

Request request_for(const std::string& method, const std::string& path_and_query, const std::string& body) {
  const auto mark = path_and_query.find('?');
  return {method,
          path_and_query.substr(0, mark),
          mark == std::string::npos ? "" : path_and_query.substr(mark + 1),
          body,
          {}};
}

// The socket may be gone while the daemon lives (starting or ending), or be there after it was killed.
[[noreturn]] void throw_unreachable(const std::filesystem::path& state_dir, const ExchangeError& failure) {
  if (failure.why == Unreachable::no_permission)
    throw Coded<std::runtime_error>(
        "not-permitted", fmt::format("the daemon on {} belongs to another user", state_dir.string()),
        "run this as that user");
  if (const auto holder = lock_holder(state_dir))
    throw Coded<std::runtime_error>("not-answering",
                                    fmt::format("the tidegate with pid {} holds {} and does not answer ({})",
                                                holder->pid, state_dir.string(), failure.what()),
                                    "it is starting or ending; try again, or see its log");
  throw NotRunning(state_dir);
}

}  // namespace

NotRunning::NotRunning(const std::filesystem::path& state_dir)
    : Coded("not-running", fmt::format("no tidegate daemon runs on state directory {}", state_dir.string()),
            "start it with: tidegate run …") {}

Response call(const std::filesystem::path& state_dir, const std::string& method,
              const std::string& path_and_query, const std::string& body, std::chrono::milliseconds timeout) {
  try {
    Response response = exchange(api_socket(state_dir), request_for(method, path_and_query, body), timeout);
    if (response.status < 200 || response.status > 299) throw_answer(response);
    return response;
  } catch (const ExchangeError& failure) {
    throw_unreachable(state_dir, failure);
  } catch (const ExchangeTimeout&) {
    throw Coded<std::runtime_error>(
        "timed-out", fmt::format("the daemon did not answer within {}", format_duration(timeout)),
        "see `tidegate status` and its log", Exit::timed_out);
  }
}

}  // namespace tidegate::control
