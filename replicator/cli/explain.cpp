#include "replicator/cli/explain.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "replicator/cli/verbs.hpp"
#include "replicator/failure.hpp"
#include "replicator/nearest.hpp"

namespace tidegate::cli {

int explain(const Invocation& invocation) {
  const Explanation* found = explanation_of(invocation.word);
  if (!found)
    throw Coded<Usage>("unknown-code",
                       fmt::format("no finding or error has the code '{}'", masked_text(invocation.word)),
                       did_you_mean(invocation.word, explained_codes()));
  if (invocation.json)
    fmt::print("{}\n", boost::json::serialize(boost::json::value{
                           {"code", found->code}, {"meaning", found->meaning}, {"mend", found->mend}}));
  else
    fmt::print("{}\n  {}\n\n  {}\n", found->code, found->meaning, found->mend);
  return 0;
}

}  // namespace tidegate::cli
