#include "replicator/backup/manifest.hpp"

#include <boost/json.hpp>
#include <stdexcept>

namespace tidegate::backup {
namespace {

namespace json = boost::json;

constexpr int format = 1;

std::string text_of(const json::object& object, const char* name) {
  return json::value_to<std::string>(object.at(name));
}

std::vector<std::string> list_of(const json::object& object, const char* name) {
  return json::value_to<std::vector<std::string>>(object.at(name));
}

}  // namespace

std::string to_json(const Manifest& manifest) {
  json::array published;
  for (const auto& one : manifest.published)
    published.push_back({{"publication", one.publication}, {"table", one.table}});
  json::array rows;
  for (const auto& one : manifest.rows)
    rows.push_back({{"table", one.table},
                    {"columns", json::value_from(one.columns)},
                    {"key", json::value_from(one.key)}});
  return json::serialize(json::object{{"format", format},
                                      {"id", manifest.id},
                                      {"of", manifest.of},
                                      {"pipeline", manifest.pipeline},
                                      {"taken_at", manifest.taken_at},
                                      {"by", manifest.by},
                                      {"reason", manifest.reason},
                                      {"end", manifest.end},
                                      {"made_with", manifest.made_with},
                                      {"position", manifest.position},
                                      {"schemas", json::value_from(manifest.schemas)},
                                      {"not_covered", json::value_from(manifest.not_covered)},
                                      {"published", published},
                                      {"rows", rows},
                                      {"bytes", manifest.bytes}});
}

Manifest manifest_from_json(std::string_view text) {
  try {
    const json::value value = json::parse(text);
    const json::object& object = value.as_object();
    if (object.at("format").to_number<int>() != format) throw std::runtime_error("another format");
    Manifest manifest{text_of(object, "id"),
                      text_of(object, "of"),
                      text_of(object, "pipeline"),
                      text_of(object, "taken_at"),
                      text_of(object, "by"),
                      text_of(object, "reason"),
                      text_of(object, "end"),
                      text_of(object, "made_with"),
                      text_of(object, "position"),
                      {},
                      {},
                      {},
                      object.at("bytes").to_number<std::uint64_t>()};
    manifest.schemas = list_of(object, "schemas");
    manifest.not_covered = list_of(object, "not_covered");
    for (const auto& one : object.at("published").as_array())
      manifest.published.push_back(
          {text_of(one.as_object(), "publication"), text_of(one.as_object(), "table")});
    if (const json::value* rows = object.if_contains("rows")) {  // earlier ones have none
      for (const auto& one : rows->as_array())
        manifest.rows.push_back({text_of(one.as_object(), "table"), list_of(one.as_object(), "columns"),
                                 list_of(one.as_object(), "key")});
    }
    return manifest;
  } catch (const std::exception& failure) {
    throw std::invalid_argument(std::string("the manifest cannot be read: ") + failure.what());
  }
}

}  // namespace tidegate::backup
