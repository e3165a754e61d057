#include "replicator/config/read_preset.hpp"

namespace tidegate {
namespace {

std::optional<PlacedText> placed_text(Section& section, const std::string& key) {
  auto placed = section.placed(key);
  if (!placed) return std::nullopt;
  return PlacedText{std::move(placed->text), std::move(placed->where)};
}

std::vector<MapColumn> members(Section& section, const std::string& key) {
  std::vector<MapColumn> out;
  for (const auto& member : section.table_of_texts(key).value_or(std::vector<Section::Placed>{}))
    out.push_back({member.key, {member.text, member.where}});
  return out;
}

void read_metadata(Section& section, AuthPreset& preset) {
  preset.name = placed_text(section, "name");
  preset.app_metadata = members(section, "app_metadata");
  preset.user_metadata = members(section, "user_metadata");
  for (const auto& member : preset.app_metadata)
    if (member.target == "provider" || member.target == "providers")
      section.refuse("app_metadata", "has a member " + member.target, "Supabase Auth's own: leave it out");
}

void read_times(Section& section, AuthPreset& preset) {
  preset.created_at = placed_text(section, "created_at");
  preset.updated_at = placed_text(section, "updated_at");
  preset.confirmed_at = placed_text(section, "confirmed_at");
  preset.last_sign_in_at = placed_text(section, "last_sign_in_at");
}

}  // namespace

std::optional<AuthPreset> read_preset(Section& section, const MapDefinition& map) {
  if (!section.has("preset")) return std::nullopt;
  section.choice("preset", {"supabase-auth"});
  AuthPreset preset;
  preset.from = map.from;
  preset.condition = map.condition;
  preset.where = section.where("preset");
  preset.key = section.text("key").value_or(preset.key);
  preset.id = placed_text(section, "id");
  const auto email = placed_text(section, "email");
  if (!email)
    section.refuse("email", "is missing", "write the column or expression of the address: email = \"email\"");
  preset.email = *email;
  preset.missing_email = placed_text(section, "missing_email");
  preset.password = placed_text(section, "password");
  preset.temporary_passwords = section.choice("missing_password", {"reset", "temporary"}) == std::size_t{1};
  preset.phone = placed_text(section, "phone");
  preset.phone_confirmed_at = placed_text(section, "phone_confirmed_at");
  read_times(section, preset);
  read_metadata(section, preset);
  return preset;
}

}  // namespace tidegate
