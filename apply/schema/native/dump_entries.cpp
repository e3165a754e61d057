#include "apply/schema/native/dump_entries.hpp"

#include <algorithm>
#include <optional>

namespace tidegate::native {
namespace {

// A name may hold anything, so the parts are sought from the end.
std::optional<DumpEntry> announced(const std::string& comment) {
  constexpr std::string_view name = "-- Name: ", type = "; Type: ", schema = "; Schema: ",
                             owner = "; Owner: ";
  if (!comment.starts_with(name)) return std::nullopt;
  const auto owner_at = comment.rfind(owner), schema_at = comment.rfind(schema, owner_at);
  const auto type_at = comment.rfind(type, schema_at);
  if (type_at == comment.npos || schema_at == comment.npos || owner_at == comment.npos) return std::nullopt;
  const auto part = [&](std::size_t from, std::size_t to) { return comment.substr(from, to - from); };
  DumpEntry entry;
  entry.name = part(name.size(), type_at);
  entry.type = part(type_at + type.size(), schema_at);
  entry.schema = part(schema_at + schema.size(), owner_at);
  if (entry.schema == "-") entry.schema.clear();
  return entry;
}

// What pg_dump sets for the session that reads it.
bool is_setting(const std::string& statement) {
  return statement.starts_with("SET ") || statement.starts_with("SELECT pg_catalog.set_config(");
}

void find_subject(DumpEntry& entry) {
  const auto names = names_in(entry.statements[0]);
  if (!names.empty()) entry.subject = names[0];
}

}  // namespace

std::vector<DumpEntry> entries_of(std::string_view dump) {
  std::vector<DumpEntry> entries;
  for (const Piece& piece : pieces_of(dump)) {
    if (piece.comment) {
      if (auto entry = announced(piece.text)) entries.push_back(std::move(*entry));
    } else if (!entries.empty() && !is_setting(piece.text)) {
      entries.back().statements.push_back(piece.text);
    }
  }
  std::erase_if(entries, [](const DumpEntry& entry) { return entry.statements.empty(); });
  for (DumpEntry& entry : entries) find_subject(entry);
  return entries;
}

}  // namespace tidegate::native
