#include "replicator/control/audit.hpp"

#include <gtest/gtest.h>

#include "db/sqlite.hpp"
#include "replicator/control/store.hpp"
#include "support/scratch.hpp"

namespace tidegate {
namespace {

std::vector<AuditEntry> three_entries() {
  std::vector<AuditEntry> entries;
  std::string previous;
  for (std::int64_t id = 1; id <= 3; ++id) {
    AuditEntry entry{id, "2026-03-01T12:00:00.000Z", "pause", "ann@host", "why", "", "", "", {}};
    previous = entry.hash = chained_hash(previous, entry);
    entries.push_back(entry);
  }
  return entries;
}

AuditHead head_of(const AuditEntry& entry) {
  return {entry.id, entry.hash};
}

// All that comes after a changed entry written anew, as somebody would who has the file.
void write_anew(std::vector<AuditEntry>& entries) {
  std::string previous;
  for (auto& entry : entries) previous = entry.hash = chained_hash(previous, entry);
}

TEST(Audit, AWholeChainHolds) {
  auto entries = three_entries();
  EXPECT_EQ(audit_fault(entries, std::nullopt), std::nullopt);
  EXPECT_EQ(audit_fault(entries, head_of(entries[1])), std::nullopt) << "the target may be behind";
  EXPECT_EQ(audit_fault({}, std::nullopt), std::nullopt);
}

TEST(Audit, EveryFieldCounts) {
  const std::vector<std::string AuditEntry::*> fields = {
      &AuditEntry::at,     &AuditEntry::action, &AuditEntry::by,    &AuditEntry::reason,
      &AuditEntry::before, &AuditEntry::after,  &AuditEntry::detail};
  for (auto field : fields) {
    auto entries = three_entries();
    entries[1].*field += "x";
    EXPECT_TRUE(audit_fault(entries, std::nullopt));
  }
  auto entries = three_entries();
  entries[1].id = 7;
  EXPECT_TRUE(audit_fault(entries, std::nullopt));
}

TEST(Audit, ATextDoesNotMoveFromFieldToField) {
  AuditEntry a{1, "t", "ab", "c", "", "", "", "", {}}, b{1, "t", "a", "bc", "", "", "", "", {}};
  EXPECT_NE(chained_hash("", a), chained_hash("", b));
}

TEST(Audit, TheTargetKnowsWhatWasCutOffOrWrittenAnew) {
  const auto whole = three_entries();
  const AuditHead kept = head_of(whole[2]);
  auto cut = whole;
  cut.pop_back();
  EXPECT_EQ(audit_fault(cut, std::nullopt), std::nullopt) << "alone, the file cannot tell";
  EXPECT_TRUE(audit_fault(cut, kept));
  auto anew = whole;
  anew[0].reason = "another";
  write_anew(anew);
  EXPECT_EQ(audit_fault(anew, std::nullopt), std::nullopt);
  EXPECT_TRUE(audit_fault(anew, kept));
}

TEST(Audit, AHeadIsReadAsItWasWritten) {
  const AuditHead head{17, "9f"};
  EXPECT_EQ(audit_head_from(to_text(head)), head);
  for (const char* wrong : {"", ":", "17", "x:9f"}) EXPECT_EQ(audit_head_from(wrong), std::nullopt) << wrong;
}

TEST(Audit, EntriesOfTwoProcessesAreOneChain) {
  testing_support::Scratch scratch;
  ControlStore daemon(scratch.file("control.db"));
  daemon.audit("run", "ann@host", "", "");
  ControlStore(scratch.file("control.db")).audit("events --values", "ben@host", "to look", "");
  daemon.audit("pause", "ann@host", "", "", "streaming", "paused");
  auto entries = daemon.audit_entries();
  ASSERT_EQ(entries.size(), 3);
  EXPECT_EQ(audit_fault(entries, daemon.audit_head()), std::nullopt);
  EXPECT_EQ(entries[2].before, "streaming");
}

TEST(Audit, EntriesFromBeforeTheChainAreTakenIntoIt) {
  testing_support::Scratch scratch;
  sqlite::Database(scratch.file("control.db"), sqlite::Database::Mode::create, {})
      .execute(
          "CREATE TABLE audit (id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, action TEXT NOT NULL,"
          " by TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL);"
          "INSERT INTO audit VALUES (4, 't', 'pause', 'ann@host', '', ''), (6, 't', 'resume', 'ann@host', "
          "'', '')");
  ControlStore store(scratch.file("control.db"));
  store.audit("stop", "ann@host", "", "");
  EXPECT_EQ(store.audit_entries().size(), 3);
  EXPECT_EQ(audit_fault(store.audit_entries(), std::nullopt), std::nullopt);
}

}  // namespace
}  // namespace tidegate
