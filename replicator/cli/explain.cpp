#include "replicator/cli/explain.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "replicator/cli/runbook_pages.hpp"
#include "replicator/cli/verbs.hpp"
#include "replicator/failure.hpp"
#include "replicator/nearest.hpp"

namespace tidegate::cli {

namespace {

int show_page(const RunbookPage& page, bool as_json) {
  if (as_json)
    fmt::print("{}\n", boost::json::serialize(boost::json::value{{"page", page.name}, {"text", page.text}}));
  else
    fmt::print("{}", page.text);
  return 0;
}

std::vector<std::string> known_words() {
  std::vector<std::string> words = explained_codes();
  for (auto& name : runbook_names()) words.push_back(std::move(name));
  return words;
}

}  // namespace

int explain(const Invocation& invocation) {
  if (const auto* page = runbook_page(invocation.word)) return show_page(*page, invocation.json);
  const Explanation* found = explanation_of(invocation.word);
  if (!found)
    throw Coded<Usage>(
        "unknown-code",
        fmt::format("no finding, error or runbook has the name '{}'", masked_text(invocation.word)),
        did_you_mean(invocation.word, known_words()));
  if (invocation.json)
    fmt::print("{}\n", boost::json::serialize(boost::json::value{
                           {"code", found->code}, {"meaning", found->meaning}, {"mend", found->mend}}));
  else
    fmt::print("{}\n  {}\n\n  {}\n", found->code, found->meaning, found->mend);
  return 0;
}

}  // namespace tidegate::cli
