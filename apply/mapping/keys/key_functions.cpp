#include "apply/mapping/keys/key_functions.hpp"

#include <algorithm>
#include <stdexcept>

namespace tidegate {
namespace {

using Arguments = std::span<const Value>;

bool has_null(Arguments values) {
  return std::any_of(values.begin(), values.end(), [](const Value& value) { return is_null(value); });
}

const std::string& text_of(const Value& value, const char* what) {
  const auto* text = std::get_if<std::string>(&value);
  if (!text) throw std::invalid_argument(what);
  return *text;
}

Row rest_of(Arguments values, std::size_t from) {
  const auto rest = values.subspan(from);
  return {rest.begin(), rest.end()};
}

void require(Arguments values, std::size_t least, const char* what) {
  if (values.size() < least) throw std::invalid_argument(what);
}

}  // namespace

// A key that is NULL names nothing: a row without a parent stays without one.
void register_key_functions(sqlite::Database& engine, const UuidMaker& uuids,
                            const std::shared_ptr<KeyAnswers>& memory,
                            const std::set<std::string>& remembered) {
  const int any = sqlite::Database::any_number;
  engine.create_function("uuid", any, [=](Arguments values) -> Value {
    require(values, 2, "uuid() takes an entity and a key");
    if (has_null(values)) return Null{};
    const std::string& entity = text_of(values[0], "uuid(): the entity is no text");
    std::string made = uuids.make(rest_of(values, 0));
    if (!memory) return made;
    if (remembered.contains(entity)) return memory->uuid(entity, rest_of(values, 1), made);
    return memory->paired_uuid(entity, rest_of(values, 1), made);
  });
  engine.create_function("surrogate", any, [=](Arguments values) -> Value {
    require(values, 2, "surrogate() takes an entity and a key");
    if (has_null(values)) return Null{};
    const std::string& entity = text_of(values[0], "surrogate(): the entity is no text");
    return memory ? memory->surrogate(entity, rest_of(values, 1)) : std::int64_t{0};
  });
  engine.create_function("unique_value", any, [=](Arguments values) -> Value {
    require(values, 4, "unique_value() takes a table, a column, a value and a key");
    if (has_null(values)) return Null{};
    const std::string column = text_of(values[0], "unique_value(): the table is no text") + "." +
                               text_of(values[1], "unique_value(): the column is no text");
    const std::string& value = text_of(values[2], "unique_value(): the value is no text");
    return memory ? memory->unique_value(column, value, rest_of(values, 3)) : value;
  });
}

}  // namespace tidegate
