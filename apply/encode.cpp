#include "apply/encode.hpp"

#include <algorithm>

#include "apply/encode_parts.hpp"
#include "apply/text_format.hpp"
#include "proto/text.hpp"

namespace tidegate {
namespace {

using encoding::Refusal;
using State = Encoded::State;

Refusal write(const Value& value, const ColumnPlan& column, std::string& out) {
  switch (column.type) {
    case TargetType::bigint:
      return encoding::write_bigint(value, column, out);
    case TargetType::double_precision:
      return encoding::write_double(value, out);
    case TargetType::numeric:
      return encoding::write_numeric(value, column, out);
    case TargetType::boolean:
      return encoding::write_boolean(value, out);
    case TargetType::text:
    case TargetType::varchar:
      return encoding::write_text(value, column, out);
    case TargetType::bytea:
      return encoding::write_bytea(value, out);
    case TargetType::timestamptz:
    case TargetType::date:
    case TargetType::time:
      return encoding::write_time(value, column, out);
    case TargetType::jsonb:
      return encoding::write_jsonb(value, out);
    case TargetType::native:
      return encoding::write_native(value, out);
  }
  return Misfit::wrong_class;
}

bool convert(const Value& value, const ColumnPlan& column, std::string& out) {
  switch (column.type) {
    case TargetType::bigint:
      return encoding::convert_to_bigint(value, out);
    case TargetType::double_precision:
      return encoding::convert_to_double(value, out);
    case TargetType::numeric:
      return encoding::convert_to_numeric(value, column, out);
    case TargetType::boolean:
      return encoding::convert_to_boolean(value, out);
    case TargetType::varchar:
      return encoding::convert_to_varchar(value, column, out);
    case TargetType::timestamptz:
    case TargetType::date:
    case TargetType::time:
      return encoding::convert_to_time(value, column, out);
    default:
      return false;
  }
}

bool is_empty_text(const Value& value) {
  const auto* text = std::get_if<std::string>(&value);
  return text && text->empty();
}

// What '' is in a column of this type, besides being empty: a rule for either applies to it.
Misfit misfit_of_empty(TargetType type) {
  switch (type) {
    case TargetType::boolean:
      return Misfit::not_a_boolean;
    case TargetType::jsonb:
      return Misfit::invalid_json;
    case TargetType::bigint:
    case TargetType::double_precision:
    case TargetType::numeric:
      return Misfit::not_a_number;
    default:
      return Misfit::not_a_time;
  }
}

const ColumnRule* rule_on(const ColumnPlan& column, Misfit misfit) {
  const auto found = std::find_if(column.rules.begin(), column.rules.end(),
                                  [&](const ColumnRule& rule) { return rule.on == misfit; });
  return found == column.rules.end() ? nullptr : &*found;
}

Remedy remedy_for(const Value& value, const ColumnPlan& column, Misfit misfit) {
  if (misfit == Misfit::wrong_class || misfit == Misfit::null_key) return Remedy::quarantine;
  const ColumnRule* rule = rule_on(column, is_empty_text(value) ? Misfit::empty : misfit);
  if (!rule && is_empty_text(value)) rule = rule_on(column, misfit_of_empty(column.type));
  return rule ? rule->remedy : Remedy::quarantine;
}

// Strips what a text cannot hold, once; what is left must fit or be cut by a rule of its own.
Encoded stripped(const Value& value, const ColumnPlan& column, Misfit misfit, std::string& out) {
  const auto* text = std::get_if<std::string>(&value);
  const bool can_be_stripped = misfit == Misfit::nul || misfit == Misfit::invalid_utf8;
  if (!text || !can_be_stripped) return {State::misfit, misfit};
  return encode(Value(without_bad_bytes(*text)), column, out);
}

Encoded remedied(const Value& value, const ColumnPlan& column, Misfit misfit, std::string& out) {
  const std::size_t start = out.size();
  bool mended = false;
  switch (remedy_for(value, column, misfit)) {
    case Remedy::quarantine:
      break;
    case Remedy::null:
      if (!column.not_null) return {State::null};
      break;
    case Remedy::strip:
      return stripped(value, column, misfit, out);
    case Remedy::text:
      mended = column.type == TargetType::jsonb && encoding::convert_to_json_string(value, out);
      break;
    case Remedy::convert:
      mended = convert(value, column, out);
      break;
  }
  if (mended) return {State::value};
  out.resize(start);
  return {State::misfit, misfit};
}

// Whether a type's text can hold a character that COPY or an array literal gives a meaning to.
bool needs_escape(TargetType type) {
  return type == TargetType::text || type == TargetType::varchar || type == TargetType::jsonb ||
         type == TargetType::bytea || type == TargetType::native;
}

}  // namespace

Encoded encode(const Value& value, const ColumnPlan& column, std::string& out) {
  if (is_null(value))
    return column.not_null ? Encoded{State::misfit, Misfit::null_key} : Encoded{State::null};
  const std::size_t start = out.size();
  const Refusal refusal = write(value, column, out);
  if (!refusal) return {State::value};
  out.resize(start);
  return remedied(value, column, *refusal, out);
}

Encoded encode_copy_field(const Value& value, const ColumnPlan& column, std::string& line) {
  const std::size_t start = line.size();
  const Encoded encoded = encode(value, column, line);
  if (encoded.state == State::null) append_copy_null(line);
  if (encoded.state == State::value && needs_escape(column.type)) copy_escape_tail(line, start);
  return encoded;
}

Encoded encode_array_element(const Value& value, const ColumnPlan& column, std::string& literal) {
  const std::size_t start = literal.size();
  literal += '"';
  const Encoded encoded = encode(value, column, literal);
  if (encoded.state == State::value) {
    if (needs_escape(column.type)) array_escape_tail(literal, start + 1);
    literal += '"';
    return encoded;
  }
  literal.resize(start);
  if (encoded.state == State::null) append_array_null(literal);
  return encoded;
}

}  // namespace tidegate
