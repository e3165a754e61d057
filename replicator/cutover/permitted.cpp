#include "replicator/cutover/permitted.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "db/error.hpp"

namespace tidegate::cutover {
namespace {

constexpr std::string_view copying = "the copy is not complete",
                           paused = "it is paused: tidegate resume first",
                           runs = "a cutover or rollback is under way",
                           live = "the target is live: it would be overwritten",
                           gone = "the pipeline is finalized", failed = "the daemon has failed",
                           nothing = "nothing is under way", none = "there is no way back before a cutover",
                           late = "the point of no return is passed: let it end, then go the other way",
                           back = "the source is live already", last = "finalize follows a cutover";

struct Line {
  std::string_view verb;
  // new, snapshot, catching_up, streaming, paused, cutover, switching, reversed, rollback, finalized, failed
  std::vector<std::string_view> why;
};

const std::vector<Line>& lines() {
  static const std::vector<Line> all{
      {"sync", {"", "", "", "", "", "", runs, "", runs, gone, failed}},
      {"pause", {"", "", "", "", "", runs, live, live, runs, gone, failed}},
      {"resume", {"", "", "", "", "", runs, live, live, runs, gone, failed}},
      {"throttle", {"", "", "", "", "", runs, live, live, runs, gone, failed}},
      {"quarantine retry", {copying, copying, copying, "", paused, runs, live, live, runs, gone, failed}},
      {"quarantine accept", {"", "", "", "", "", runs, live, live, runs, gone, failed}},
      {"verify", {copying, copying, copying, "", paused, runs, live, live, runs, gone, failed}},
      {"repair", {copying, copying, copying, "", paused, runs, live, live, runs, gone, failed}},
      {"resync", {copying, copying, copying, "", paused, runs, live, live, runs, gone, failed}},
      {"resync --way-back", {none, none, none, none, none, runs, runs, "", runs, gone, failed}},
      {"reset", {"", "", "", "", "", runs, live, live, runs, gone, ""}},
      {"schema apply", {"", "", "", "", "", runs, runs, "", runs, "", ""}},
      {"restore", {"", "", "", "", "", runs, live, live, runs, gone, ""}},
      {"cutover", {copying, copying, copying, "", paused, runs, runs, "", runs, gone, failed}},
      {"abort", {nothing, nothing, nothing, nothing, nothing, "", late, late, "", gone, failed}},
      {"rollback", {back, back, back, back, back, runs, runs, "", runs, gone, failed}},
      {"finalize", {last, last, last, last, last, runs, runs, "", runs, gone, failed}},
  };
  return all;
}

template <typename List>
std::size_t place_of(const List& list, std::string_view word) {
  return static_cast<std::size_t>(std::find(list.begin(), list.end(), word) - list.begin());
}

}  // namespace

const std::vector<std::string_view>& phases() {
  static const std::vector<std::string_view> all{"new",      "snapshot",  "catching_up", "streaming",
                                                 "paused",   "cutover",   "switching",   "reversed",
                                                 "rollback", "finalized", "failed"};
  return all;
}

const std::vector<std::string_view>& guarded_verbs() {
  static const std::vector<std::string_view> all = [] {
    std::vector<std::string_view> verbs;
    for (const auto& line : lines()) verbs.push_back(line.verb);
    return verbs;
  }();
  return all;
}

std::string_view why_refused(std::string_view verb, std::string_view phase) {
  const auto row = place_of(guarded_verbs(), verb), column = place_of(phases(), phase);
  if (row == guarded_verbs().size() || column == phases().size()) return "";
  return lines()[row].why[column];
}

void require_permitted(std::string_view verb, std::string_view phase) {
  const std::string_view why = why_refused(verb, phase);
  if (why.empty()) return;
  throw Refused(why == late ? "past-no-return" : "wrong-phase",
                fmt::format("{} does nothing now: {}", verb, why),
                why == late ? "tidegate rollback, or tidegate cutover after a rollback"
                            : "`tidegate status` shows the phase and what to do next");
}

std::string as_markdown() {
  std::string text = "| verb |";
  std::string rule = "|---|";
  for (const auto& phase : phases()) text += fmt::format(" {} |", phase), rule += "---|";
  text += "\n" + rule + "\n";
  for (const auto& line : lines()) {
    text += fmt::format("| {} |", line.verb);
    for (const auto& why : line.why) text += why.empty() ? " yes |" : " no |";
    text += "\n";
  }
  return text;
}

}  // namespace tidegate::cutover
