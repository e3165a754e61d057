// The DDL that was approved with a plan, as it is kept in control.db: what the source's schema is later does
// not change what is built.
#pragma once

#include <string>
#include <string_view>

#include "apply/schema/ddl.hpp"

namespace tidegate {

std::string ddl_to_json(const Ddl& ddl);  // without findings
// Throws std::invalid_argument.
Ddl ddl_from_json(std::string_view json);

}  // namespace tidegate
