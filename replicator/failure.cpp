#include "replicator/failure.hpp"

#include <boost/json.hpp>

namespace tidegate {

namespace {

std::string code_of(const std::exception& failure) {
  if (const auto* error = dynamic_cast<const Error*>(&failure); error && !error->code().empty())
    return error->code();
  if (dynamic_cast<const Refused*>(&failure)) return "refused";
  if (dynamic_cast<const Usage*>(&failure)) return "usage";
  return "failed";
}

}  // namespace

Told told(const std::exception& failure) {
  if (const auto* known = dynamic_cast<const Told*>(&failure)) return *known;
  if (const auto* known = dynamic_cast<const Sentence*>(&failure); known && !known->code().empty())
    return {known->code(), known->message(), known->mend(), {}};
  return {code_of(failure), failure.what(), "", {}};
}

Exit exit_of(const std::exception& failure) {
  if (const auto* known = dynamic_cast<const Told*>(&failure); known && known->exit) return *known->exit;
  if (dynamic_cast<const Refused*>(&failure)) return Exit::refused;
  if (dynamic_cast<const Usage*>(&failure)) return Exit::usage;
  return Exit::failed;
}

std::string error_json(const Told& told, Exit exit) {
  return boost::json::serialize(boost::json::value{{"error",
                                                    {{"code", told.code},
                                                     {"message", told.message},
                                                     {"mend", told.mend},
                                                     {"exit", static_cast<int>(exit)}}}});
}

}  // namespace tidegate
