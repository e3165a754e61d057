#include "apply/mapping/functions/functions.hpp"

#include <fmt/format.h>

#include <span>
#include <stdexcept>

#include "apply/mapping/functions/array_text.hpp"
#include "apply/mapping/functions/epoch.hpp"
#include "apply/mapping/functions/password_hash.hpp"
#include "apply/mapping/functions/person.hpp"
#include "apply/mapping/functions/phone.hpp"

namespace tidegate {
namespace {

using Arguments = std::span<const Value>;

[[noreturn]] void refuse(std::string_view function, std::string_view wants) {
  throw std::invalid_argument(fmt::format("{}: {}", function, wants));
}

bool any_null(Arguments arguments) {
  return std::any_of(arguments.begin(), arguments.end(), is_null);
}

const std::string& text(const Value& value, std::string_view function, std::string_view wants) {
  if (const auto* found = std::get_if<std::string>(&value)) return *found;
  refuse(function, wants);
}

// A password is text, or bytes that hold it; a number is none.
CarriedPassword carried(const Value& stored) {
  if (is_null(stored)) return {PasswordKind::none, ""};
  if (const auto* blob = std::get_if<Blob>(&stored)) return carry_password(blob->bytes);
  const auto* found = std::get_if<std::string>(&stored);
  return found ? carry_password(*found) : CarriedPassword{PasswordKind::unknown, ""};
}

Value name_part(Arguments arguments) {
  if (any_null(arguments)) return Null{};
  PersonName name = split_name(text(arguments[0], "split_name", "the name is not a text"));
  const std::string& part = text(arguments[1], "split_name", "the part is 'first' or 'last'");
  if (part == "first") return std::move(name.first);
  if (part == "last") return std::move(name.last);
  refuse("split_name", "the part is 'first' or 'last'");
}

// A number column may hold a telephone number too.
Value phone_number(Arguments arguments) {
  if (arguments.size() < 2 || arguments.size() > 3)
    refuse("e164", "takes a number, a region and perhaps another value");
  if (any_null(arguments.first(2))) return Null{};
  const auto* number = std::get_if<std::int64_t>(&arguments[0]);
  const std::string phone =
      number ? std::to_string(*number) : text(arguments[0], "e164", "the number is not a text");
  if (phone.find_first_not_of(" \t") == phone.npos) return Null{};
  if (auto found = e164(phone, text(arguments[1], "e164", "the region is two letters")))
    return std::move(*found);
  if (arguments.size() == 3) return arguments[2];
  refuse("e164", "not a telephone number of that region");
}

Value address(Arguments arguments) {
  if (any_null(arguments)) return Null{};
  return missing_email(arguments[0], text(arguments[1], "missing_email", "the domain is not a text"));
}

TimeUnit unit_of(Arguments arguments, std::string_view function) {
  constexpr std::string_view wants = "the unit is 's', 'ms' or 'us'";
  if (arguments.size() < 2) return TimeUnit::second;
  const std::string& unit = text(arguments[1], function, wants);
  if (unit == "s") return TimeUnit::second;
  if (unit == "ms") return TimeUnit::millisecond;
  if (unit == "us") return TimeUnit::microsecond;
  refuse(function, wants);
}

Value to_iso(Arguments arguments) {
  if (arguments.empty() || arguments.size() > 2) refuse("epoch_to_iso", "takes a number and perhaps a unit");
  if (any_null(arguments)) return Null{};
  const TimeUnit unit = unit_of(arguments, "epoch_to_iso");
  std::optional<std::string> iso;
  if (const auto* count = std::get_if<std::int64_t>(&arguments[0])) iso = epoch_to_iso(*count, unit);
  if (const auto* count = std::get_if<double>(&arguments[0])) iso = epoch_to_iso(*count, unit);
  if (!iso) refuse("epoch_to_iso", "not a number within the years 1 to 9999");
  return std::move(*iso);
}

Value to_epoch(Arguments arguments) {
  if (arguments.empty() || arguments.size() > 2) refuse("iso_to_epoch", "takes a text and perhaps a unit");
  if (any_null(arguments)) return Null{};
  const TimeUnit unit = unit_of(arguments, "iso_to_epoch");
  const auto count = iso_to_epoch(text(arguments[0], "iso_to_epoch", "not a date"), unit);
  if (!count) refuse("iso_to_epoch", "not a date");
  return *count;
}

Value array_of(Arguments arguments) {
  if (any_null(arguments)) return Null{};
  return json_to_array(text(arguments[0], "json_to_array", "not a JSON array"));
}

Value json_of(Arguments arguments) {
  constexpr std::string_view wants = "the kind is 'text', 'number' or 'boolean'";
  if (arguments.empty() || arguments.size() > 2) refuse("array_to_json", "takes an array and perhaps a kind");
  if (any_null(arguments)) return Null{};
  const std::string kind = arguments.size() == 2 ? text(arguments[1], "array_to_json", wants) : "text";
  if (kind != "text" && kind != "number" && kind != "boolean") refuse("array_to_json", wants);
  return array_to_json(text(arguments[0], "array_to_json", "not an array literal"),
                       kind == "text"     ? ElementKind::text
                       : kind == "number" ? ElementKind::number
                                          : ElementKind::boolean);
}

Value temporary(const std::optional<TemporaryPasswords>& passwords, Arguments key) {
  if (!passwords) refuse("temporary_password", "there is no secret in TIDEGATE_CREDENTIALS_SECRET");
  if (key.empty()) refuse("temporary_password", "takes the user's key");
  if (any_null(key)) return Null{};
  return passwords->hash(Row(key.begin(), key.end()));
}

}  // namespace

void add_functions(sqlite::Database& database, const FunctionSettings& settings) {
  constexpr int any = sqlite::Database::any_number;
  database.create_function("password_hash", 1,
                           [](Arguments stored) -> Value { return carried(stored[0]).hash; });
  database.create_function("password_kind", 1, [](Arguments stored) -> Value {
    return std::string(name_of(carried(stored[0]).kind));
  });
  database.create_function(
      "temporary_password", any,
      [passwords = settings.temporary_passwords](Arguments key) { return temporary(passwords, key); });
  database.create_function("missing_email", 2, address);
  database.create_function("split_name", 2, name_part);
  database.create_function("e164", any, phone_number);
  database.create_function("json_to_array", 1, array_of);
  database.create_function("array_to_json", any, json_of);
  database.create_function("epoch_to_iso", any, to_iso);
  database.create_function("iso_to_epoch", any, to_epoch);
}

}  // namespace tidegate
