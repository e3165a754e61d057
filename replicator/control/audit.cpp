#include "replicator/control/audit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>

#include "db/digest.hpp"

namespace tidegate {
namespace {

// Lengths before the texts: no two entries have the same bytes.
void add(std::string& bytes, std::string_view text) {
  const std::uint64_t size = text.size();
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>((size >> shift) & 0xff);
  bytes += text;
}

std::optional<std::string> fault_of_head(const std::vector<AuditEntry>& entries, const AuditHead& kept) {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const AuditEntry& entry) { return entry.id == kept.id; });
  if (found == entries.end())
    return fmt::format(
        "the target knows of entry {}, which is not here: entries were removed, or another "
        "state directory's control.db stands here",
        kept.id);
  if (found->hash != kept.hash)
    return fmt::format("entry {} is not the one that the target knows: the chain was written anew", kept.id);
  return std::nullopt;
}

}  // namespace

std::string to_text(const AuditHead& head) {
  return fmt::format("{}:{}", head.id, head.hash);
}

std::optional<AuditHead> audit_head_from(std::string_view text) {
  AuditHead head;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), head.id);
  const auto at = static_cast<std::size_t>(read.ptr - text.data());
  if (read.ec != std::errc() || at >= text.size() || text[at] != ':') return std::nullopt;
  head.hash = text.substr(at + 1);
  return head;
}

std::string chained_hash(std::string_view previous, const AuditEntry& entry) {
  std::string bytes;
  add(bytes, previous);
  add(bytes, std::to_string(entry.id));
  for (const auto* text :
       {&entry.at, &entry.action, &entry.by, &entry.reason, &entry.before, &entry.after, &entry.detail})
    add(bytes, *text);
  return hex_sha256(bytes);
}

std::optional<std::string> audit_fault(const std::vector<AuditEntry>& entries,
                                       const std::optional<AuditHead>& kept) {
  std::string previous;
  for (const auto& entry : entries) {
    if (entry.hash != chained_hash(previous, entry))
      return fmt::format("the chain is broken at entry {}: it, or one before it, was changed or removed",
                         entry.id);
    previous = entry.hash;
  }
  return kept ? fault_of_head(entries, *kept) : std::nullopt;
}

std::string to_json_line(const AuditEntry& entry) {
  return boost::json::serialize(boost::json::value{{"id", entry.id},
                                                   {"at", entry.at},
                                                   {"action", entry.action},
                                                   {"by", entry.by},
                                                   {"reason", entry.reason},
                                                   {"before", entry.before},
                                                   {"after", entry.after},
                                                   {"detail", entry.detail},
                                                   {"hash", entry.hash}});
}

}  // namespace tidegate
