#include "replicator/verify/request.hpp"

#include <boost/json.hpp>

#include "replicator/failure.hpp"

namespace tidegate::verify {
namespace {

namespace json = boost::json;

constexpr std::int64_t most_jobs = 64;

const json::value* field(const json::object& object, std::string_view name) {
  const json::value* found = object.if_contains(name);
  return found && !found->is_null() ? found : nullptr;
}

bool flag(const json::object& object, std::string_view name) {
  const json::value* found = field(object, name);
  return found && found->is_bool() && found->get_bool();
}

std::uint64_t count(const json::object& object, std::string_view name) {
  const json::value* found = field(object, name);
  return found ? found->to_number<std::uint64_t>() : 0;
}

}  // namespace

std::string to_json(const Request& request) {
  json::object out{{"counts", request.counts}, {"continuous", request.continuous}, {"mend", request.mend},
                   {"rate", request.rate},     {"rest_ms", request.rest.count()},  {"jobs", request.jobs}};
  out["tables"] = json::array(request.tables.begin(), request.tables.end());
  if (request.sample) out["sample"] = *request.sample;
  return json::serialize(out);
}

Request request_from_json(std::string_view text) {
  if (text.empty()) return {};
  try {
    const json::object object = json::parse(text).as_object();
    Request request;
    if (const auto* tables = field(object, "tables"))
      for (const auto& table : tables->as_array()) request.tables.emplace_back(table.as_string());
    if (field(object, "sample")) request.sample = count(object, "sample");
    request.counts = flag(object, "counts");
    request.continuous = flag(object, "continuous");
    request.mend = flag(object, "mend");
    request.rate = count(object, "rate");
    if (field(object, "rest_ms")) request.rest = std::chrono::milliseconds(count(object, "rest_ms"));
    request.jobs = static_cast<int>(std::min<std::uint64_t>(count(object, "jobs"), most_jobs));
    if (request.continuous && request.rate == 0) request.rate = continuous_rate;
    return request;
  } catch (const boost::system::system_error&) {
    throw Coded<Usage>("bad-request", "the request's body does not say what to verify");
  }
}

}  // namespace tidegate::verify
