#include "replicator/pipeline/ddl_store.hpp"

#include <boost/json.hpp>
#include <stdexcept>

namespace tidegate {
namespace {

namespace json = boost::json;

json::object to_object(const DdlObject& object) {
  return {{"kind", static_cast<int>(object.kind)},
          {"table", object.table},
          {"name", object.name},
          {"statements", json::value_from(object.statements)}};
}

DdlObject object_from(const json::value& value) {
  return {static_cast<DdlObject::Kind>(value.at("kind").to_number<int>()),
          json::value_to<std::string>(value.at("table")), json::value_to<std::string>(value.at("name")),
          json::value_to<std::vector<std::string>>(value.at("statements"))};
}

}  // namespace

std::string ddl_to_json(const Ddl& ddl) {
  json::array objects;
  for (const auto& object : ddl.after_load) objects.push_back(to_object(object));
  return json::serialize(json::object{{"before_load", json::value_from(ddl.before_load)},
                                      {"after_load", objects},
                                      {"at_end", json::value_from(ddl.at_end)}});
}

Ddl ddl_from_json(std::string_view text) {
  try {
    json::value value = json::parse(text);
    Ddl ddl;
    ddl.before_load = json::value_to<std::vector<std::string>>(value.at("before_load"));
    ddl.at_end = json::value_to<std::vector<std::string>>(value.at("at_end"));
    for (const auto& object : value.at("after_load").as_array())
      ddl.after_load.push_back(object_from(object));
    return ddl;
  } catch (const std::exception& failure) {
    throw std::invalid_argument(std::string("the kept DDL cannot be read: ") + failure.what());
  }
}

}  // namespace tidegate
