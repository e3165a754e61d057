// The two ways in which fields travel to Postgres as text. Separators ('\t', '\n'; '{', ',', '}') are the
// caller's.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tidegate {

// One field of a COPY line in text format.
void copy_escape(std::string_view field, std::string& line);
void append_copy_null(std::string& line);
// Escapes in place what stands in `line` from `start` on.
void copy_escape_tail(std::string& line, std::size_t start);

// One element of an array literal, as a text[] parameter takes it. `text` holds no NUL.
void append_array_element(std::string_view text, std::string& literal);
void append_array_null(std::string& literal);
// Escapes in place; the quotes around the element are the caller's.
void array_escape_tail(std::string& literal, std::size_t start);

}  // namespace tidegate
