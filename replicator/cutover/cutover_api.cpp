#include "replicator/cutover/cutover_api.hpp"

#include <boost/json.hpp>

#include "replicator/cutover/guard.hpp"
#include "replicator/cutover/permitted.hpp"
#include "replicator/failure.hpp"

namespace tidegate::cutover {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

control::Response ok(const json::value& body) {
  return {200, "application/json", json::serialize(body)};
}

class Body {
 public:
  explicit Body(const control::Request& request) {
    if (request.body.empty()) return;
    boost::system::error_code error;
    json::value value = json::parse(request.body, error);
    if (error || !value.is_object())
      throw Coded<Usage>("bad-request", "the request's body is no JSON object");
    object_ = value.get_object();
  }
  std::string text(const char* name) const {
    const json::value* value = object_.if_contains(name);
    return value && value->is_string() ? std::string(value->get_string()) : "";
  }
  bool flag(const char* name) const {
    const json::value* value = object_.if_contains(name);
    return value && value->is_bool() && value->get_bool();
  }
  void read(const char* name, milliseconds& into) const {
    if (auto number = number_of(name)) into = milliseconds(*number);
  }
  void read(const char* name, std::uint64_t& into) const {
    if (auto number = number_of(name)) into = static_cast<std::uint64_t>(*number);
  }

 private:
  std::optional<std::int64_t> number_of(const char* name) const {
    const json::value* value = object_.if_contains(name);
    if (!value || value->is_null()) return std::nullopt;
    if (!value->is_number() || value->to_number<std::int64_t>() <= 0)
      throw Coded<Usage>("bad-request", std::string(name) + " is not a number above 0");
    return value->to_number<std::int64_t>();
  }
  json::object object_;
};

Order order_of(const Cutover& cutover, const Body& body, const control::Request& request) {
  Order order = cutover.usual_order();
  if (request.path.starts_with("/v1/rollback"))
    order.mode = Mode::rollback;
  else if (body.text("mode") == "rehearse")
    order.mode = Mode::rehearse;
  body.read("max_hold_ms", order.max_hold);
  body.read("timeout_ms", order.timeout);
  body.read("max_lag_ms", order.max_lag);
  body.read("attempts", order.attempts);
  order.no_way_back = body.flag("no_way_back");
  order.accept_loss = body.flag("accept_loss");
  order.accept_failed_writes = body.flag("accept_failed_writes");
  order.by = request.by;
  order.reason = body.text("reason");
  return order;
}

// Throws Refused unless the pipeline's name was typed.
void require_named(const Body& body, const std::string& pipeline, const std::string& what,
                   const std::string& command) {
  if (body.text("confirm") == pipeline) return;
  throw Coded<Refused>("confirm-needed", "it " + what,
                       "type the pipeline's name: " + command + " --confirm " + pipeline);
}

void require_confirmed(const Order& order, const Body& body, const std::string& pipeline) {
  if (order.mode == Mode::rehearse) return;
  require_named(body, pipeline, "changes which database is live",
                "tidegate " + std::string(name_of(order.mode)));
}

json::value shown(const std::vector<Finding>& findings) {
  json::array list;
  for (const auto& finding : findings) {
    const char* level = finding.level == Finding::Level::block  ? "block"
                        : finding.level == Finding::Level::warn ? "warn"
                                                                : "note";
    list.push_back(
        {{"level", level}, {"code", finding.code}, {"message", finding.message}, {"mend", finding.mend}});
  }
  return {{"findings", list}, {"blocks", blocks(findings)}};
}

}  // namespace

std::optional<control::Response> answer(Cutover& cutover, const control::Request& request,
                                        const std::string& phase, const std::string& pipeline) {
  if (request.method != "POST") return std::nullopt;
  const Body body(request);
  if (request.path == "/v1/abort") {
    cutover.abort(request.by, body.text("reason"));
    return ok({{"aborting", true}});
  }
  if (request.path == "/v1/way-back") {
    require_permitted("resync --way-back", phase);
    require_named(body, pipeline, "overwrites rows of the old database with the target's",
                  "tidegate resync --way-back");
    cutover.rebuild_way_back(request.by, body.text("reason"));
    return ok({{"rebuilding", true}});
  }
  const std::string verb = request.path.starts_with("/v1/rollback") ? "rollback" : "cutover";
  if (!request.path.starts_with("/v1/" + verb)) return std::nullopt;
  const std::string what = request.path.substr(("/v1/" + verb).size());
  const Order order = order_of(cutover, body, request);
  if (what == "/continue") return ok({{"run", cutover.switch_again(order)}});
  // What a cutover's own findings say better.
  if (verb == "cutover" && what == "/check" && phase != "reversed")
    return ok(shown(cutover.dry_run(order, request.stop)));
  require_permitted(verb, phase);
  if (verb == "cutover" && phase == "reversed")
    throw Refused(
        "wrong-phase", "the target is live already",
        "`tidegate cutover --continue` runs the hooks of the switch again; `tidegate rollback` goes back");
  if (what == "/check") return ok(shown(cutover.dry_run(order, request.stop)));
  if (!what.empty()) return std::nullopt;
  require_confirmed(order, body, pipeline);
  return ok({{"run", cutover.begin(order)}});
}

}  // namespace tidegate::cutover
