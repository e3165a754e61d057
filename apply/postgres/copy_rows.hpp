// The lines that COPY TO writes in text format, as rows again. Pure.
#pragma once

#include <string_view>

#include "proto/value.hpp"

namespace tidegate {

// One line without its newline: a text or NULL per field.
Row row_of_copy_line(std::string_view line);

}  // namespace tidegate
