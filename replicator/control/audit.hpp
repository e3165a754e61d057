// The audit: who did what, when and why, each entry chained to the one before. Pure. README.md has the
// format.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate {

struct AuditEntry {
  std::int64_t id = 0;
  std::string at;             // "2026-03-01T12:34:56.789Z"
  std::string action;         // the verb: "quarantine accept"
  std::string by;             // "name@host"
  std::string reason;         // of --reason; empty where none was given
  std::string before, after;  // what was changed, where that is one thing: a phase, a rate; never a row value
  std::string detail;
  std::string hash;  // 64 hexadecimal digits
};

// Where the chain ends: kept in the target as well, so that entries cannot vanish from the end unseen.
struct AuditHead {
  std::int64_t id = 0;
  std::string hash;
  bool operator==(const AuditHead&) const = default;
};
std::string to_text(const AuditHead& head);  // "17:9f…"
std::optional<AuditHead> audit_head_from(std::string_view text);

// The hash that `entry` has behind `previous`; empty: it is the first.
std::string chained_hash(std::string_view previous, const AuditEntry& entry);

// What is wrong with the chain, as a sentence that names the entry; absent where it holds. `kept`: the head
// that the target has, if it was asked.
std::optional<std::string> audit_fault(const std::vector<AuditEntry>& entries,
                                       const std::optional<AuditHead>& kept);

// One line, without a newline.
std::string to_json_line(const AuditEntry& entry);

}  // namespace tidegate
