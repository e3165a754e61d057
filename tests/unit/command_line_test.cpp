#include "replicator/cli/command_line.hpp"

#include <gtest/gtest.h>

#include <set>

#include "apply/schema/planner.hpp"
#include "replicator/cli/draft.hpp"
#include "replicator/cli/explain.hpp"
#include "replicator/failure.hpp"

namespace tidegate::cli {
namespace {

std::variant<Invocation, Help> read(std::vector<const char*> words) {
  words.insert(words.begin(), "tidegate");
  return read_command_line(static_cast<int>(words.size()), words.data());
}
Invocation invocation(std::vector<const char*> words) {
  return std::get<Invocation>(read(std::move(words)));
}
std::string help(std::vector<const char*> words) {
  return std::get<Help>(read(std::move(words))).text;
}

template <typename Failure>
Told complaint(std::vector<const char*> words) {
  try {
    read(std::move(words));
  } catch (const Failure& failure) {
    return told(failure);
  }
  ADD_FAILURE() << "no complaint";
  return {};
}

TEST(CommandLine, EveryVerbOfThisReleaseIsRead) {
  for (const char* verb : {"try", "init", "doctor", "plan", "run", "stop", "list", "status", "sync", "pause",
                           "resume", "events", "version"})
    EXPECT_EQ(invocation({verb}).verb, verb);
  EXPECT_EQ(invocation({"config", "check"}).verb, "config check");
  EXPECT_EQ(invocation({"config", "show"}).verb, "config show");
  EXPECT_EQ(invocation({"quarantine", "list"}).verb, "quarantine list");
}

TEST(CommandLine, CommonFlagsStandBeforeAndAfterTheVerb) {
  for (const auto& words : {std::vector<const char*>{"--state", "/s", "--json", "status"},
                            {"status", "--state", "/s", "--json"},
                            {"status", "--state=/s", "--json"}}) {
    const Invocation i = invocation(words);
    EXPECT_EQ(i.verb, "status");
    EXPECT_EQ(i.flags.state, "/s");
    EXPECT_TRUE(i.json);
  }
  const Invocation nested = invocation({"quarantine", "list", "--tables", "a,b*", "-vv"});
  EXPECT_EQ(nested.flags.tables, (std::vector<std::string>{"a", "b*"}));
  EXPECT_EQ(nested.verbose, 2);
}

TEST(CommandLine, FlagsOfVerbsAreRead) {
  const Invocation run = invocation(
      {"run", "--source", "a.db", "--target", "postgresql://h/d", "--yes", "--allow-wal", "--adopt"});
  EXPECT_EQ(run.flags.source, "a.db");
  EXPECT_TRUE(run.yes && run.flags.allow_wal && run.flags.adopt);
  EXPECT_TRUE(invocation({"status", "--watch"}).watch);
  EXPECT_EQ(invocation({"sync", "--timeout", "30"}).timeout, std::chrono::seconds(30));
  EXPECT_EQ(invocation({"sync", "--timeout", "500ms"}).timeout, std::chrono::milliseconds(500));
  EXPECT_FALSE(invocation({"sync"}).timeout);
  EXPECT_EQ(invocation({"throttle", "2000"}).rate, 2000u);
  EXPECT_EQ(invocation({"throttle", "2000/s"}).rate, 2000u);
  EXPECT_FALSE(invocation({"throttle", "off"}).rate);
  EXPECT_TRUE(invocation({"events", "--follow", "--values"}).values);
  EXPECT_EQ(invocation({"explain", "28P01"}).word, "28P01");
  EXPECT_EQ(invocation({"explain", "run"}).word, "run");
  EXPECT_EQ(invocation({"try", "my.db"}).word, "my.db");
  EXPECT_EQ(invocation({"quarantine", "show", "17"}).ids, (std::vector<std::string>{"17"}));
  EXPECT_EQ(invocation({"quarantine", "retry", "1", "2"}).ids, (std::vector<std::string>{"1", "2"}));
  EXPECT_TRUE(invocation({"quarantine", "accept", "--all", "--reason", "test data"}).all);
}

TEST(CommandLine, UnknownWordsNameTheNearest) {
  const auto said = [](std::vector<const char*> words) {
    const Told complained = complaint<Usage>(std::move(words));
    return complained.message + "; " + complained.mend;
  };
  EXPECT_EQ(said({"stauts"}), "unknown verb 'stauts'; did you mean 'status'? See: tidegate --help");
  EXPECT_EQ(said({"status", "--wach"}),
            "unknown flag '--wach'; did you mean '--watch'? See: tidegate status --help");
  EXPECT_EQ(said({"run", "--sorce", "x"}),
            "unknown flag '--sorce'; did you mean '--source'? See: tidegate run --help");
  EXPECT_EQ(said({"config", "chek"}),
            "unknown verb 'chek'; did you mean 'check'? See: tidegate config --help");
  EXPECT_EQ(said({"status", "now"}), "'now' is one word too many; see: tidegate status --help");
  EXPECT_EQ(said({"quarantine"}),
            "quarantine wants one of: list, show, retry, accept; see: tidegate quarantine --help");
  EXPECT_EQ(said({}), "no verb is given; see: tidegate --help");
}

TEST(CommandLine, WhatIsMissingOrWrongIsUsage) {
  for (const auto& words : {std::vector<const char*>{"throttle"},
                            {"throttle", "fast"},
                            {"throttle", "0"},
                            {"throttle", "-5"},
                            {"sync", "--timeout", "soon"},
                            {"status", "--state"},
                            {"explain"},
                            {"quarantine", "show"},
                            {"quarantine", "retry"},
                            {"quarantine", "retry", "1", "--all"},
                            {"quarantine", "accept", "1"},
                            {"status", "--values"},
                            {"run", "--tables", ","}})
    complaint<Usage>(words);
}

TEST(CommandLine, ASecretIsNeverRepeated) {
  for (const auto& words : {std::vector<const char*>{"run", "postgresql://u:hunter2@h/d"},
                            {"run", "--sorce=postgresql://u:hunter2@h/d"},
                            {"postgresql://u:hunter2@h/d"},
                            {"sync", "--timeout", "postgresql://u:hunter2@h/d"},
                            {"run", "--sorce", "postgresql://u:hunter2@h/d"}}) {
    const Told said = complaint<Usage>(words);
    EXPECT_EQ((said.message + said.mend).find("hunter2"), std::string::npos) << said.message;
  }
}

TEST(CommandLine, HelpHasAnExampleForEveryVerb) {
  const std::string all = help({"--help"});
  for (const char* verb :
       {"try", "init", "config", "doctor", "plan", "run", "stop", "list", "status", "sync", "pause", "resume",
        "throttle", "events", "quarantine", "login-check", "explain", "version"}) {
    EXPECT_NE(all.find(verb), std::string::npos);
    EXPECT_NE(help({verb, "--help"}).find("Example:\n  tidegate "), std::string::npos) << verb;
  }
  EXPECT_NE(help({"quarantine", "list", "--help"}).find("Usage: tidegate quarantine list"),
            std::string::npos);
  EXPECT_NE(help({"quarantine", "accept", "--help"}).find("--reason"), std::string::npos);
  EXPECT_EQ(help({"--version"}), version_text() + "\n");
}

TEST(Explain, KnowsItsCodesWithoutCase) {
  for (const auto& code : explained_codes()) {
    ASSERT_NE(explanation_of(code), nullptr);
    EXPECT_FALSE(explanation_of(code)->meaning.empty() || explanation_of(code)->mend.empty()) << code;
  }
  EXPECT_EQ(explanation_of("28p01"), explanation_of("28P01"));
  EXPECT_EQ(explanation_of("no-such-code"), nullptr);
  const auto codes = explained_codes();
  EXPECT_EQ(std::set<std::string>(codes.begin(), codes.end()).size(), codes.size());
}

TEST(Explain, KnowsWhyRowsDoNotFit) {
  for (int i = 0; i <= static_cast<int>(Misfit::rejected); ++i) {
    const auto misfit = static_cast<Misfit>(i);
    const auto* explanation = explanation_of(finding_code(misfit));
    ASSERT_NE(explanation, nullptr) << finding_code(misfit);
    EXPECT_EQ(explanation->code, name_of(misfit));
  }
}

TEST(Init, DraftsAFileThatIsReadWithoutComplaint) {
  const Endpoint source = parse_endpoint("/srv/my \"app\" ${X}.db");
  const std::string text = draft_config(source, {"user", "project"});
  Environment environment = parse_env_file(draft_environment(source), ".env.example");
  const Settings s = settings_from({}, environment, "/work", Purpose::run, text, "tidegate.toml");
  EXPECT_EQ(s.source.end, source);
  EXPECT_EQ(s.pipeline, "my-app-x");
  EXPECT_EQ(s.target.end.host, "db.PROJECT.supabase.co");
  EXPECT_NE(text.find("user, project"), std::string::npos);
}

TEST(Init, DraftOfAPostgresSourceHoldsNoPasswordAndLoads) {
  const Endpoint source = parse_endpoint("postgresql://app:secret@db.example.org/shop");
  const std::string text = draft_config(source, {});
  EXPECT_EQ(text.find("secret"), std::string::npos);
  EXPECT_EQ(text.find("allow_wal"), std::string::npos);
  Environment environment = parse_env_file(draft_environment(source), ".env.example");
  Settings settings = settings_from({}, environment, "/work", Purpose::run, text, "tidegate.toml");
  EXPECT_EQ(settings.source.end.kind, Endpoint::Kind::postgres);
  EXPECT_EQ(settings.pipeline, "shop");
}

}  // namespace
}  // namespace tidegate::cli
