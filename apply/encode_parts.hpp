// The parts of encode(), one per family of types. Each appends the text of a value that fits and returns
// nothing, or says why it does not fit; `out` may then hold a beginning, which the caller takes away.
#pragma once

#include <optional>
#include <string>

#include "apply/plan.hpp"

namespace tidegate::encoding {

using Refusal = std::optional<Misfit>;

Refusal write_bigint(const Value& value, const ColumnPlan& column, std::string& out);
Refusal write_double(const Value& value, std::string& out);
Refusal write_numeric(const Value& value, const ColumnPlan& column, std::string& out);
Refusal write_boolean(const Value& value, std::string& out);
Refusal write_text(const Value& value, const ColumnPlan& column, std::string& out);  // text and varchar
Refusal write_bytea(const Value& value, std::string& out);
Refusal write_jsonb(const Value& value, std::string& out);
Refusal write_time(const Value& value, const ColumnPlan& column,
                   std::string& out);  // timestamptz, date and time

Refusal write_native(const Value& value, std::string& out);

// Remedy::convert: the nearest value that the operator can mean. True where something was appended.
bool convert_to_bigint(const Value& value, std::string& out);  // '12' and 2.5, by cutting the fraction off
bool convert_to_double(const Value& value, std::string& out);  // '1.5', and integers that a double must round
bool convert_to_numeric(const Value& value, const ColumnPlan& column,
                        std::string& out);  // rounding to the scale
bool convert_to_boolean(const Value& value,
                        std::string& out);  // true/false, t/f, yes/no, y/n, on/off, numbers
bool convert_to_varchar(const Value& value, const ColumnPlan& column, std::string& out);  // cut to its length
bool convert_to_time(const Value& value, const ColumnPlan& column, std::string& out);
bool convert_to_json_string(const Value& value, std::string& out);  // any text as a JSON string

void append_integer(std::int64_t value, std::string& out);
void append_real(double value,
                 std::string& out);  // shortest that reads back the same; "Infinity", "-Infinity"

}  // namespace tidegate::encoding
