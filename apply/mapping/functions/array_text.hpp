// JSON arrays and Postgres' array literals. Pure. Both throw std::invalid_argument, without the value, for
// what is no array.
#pragma once

#include <string>
#include <string_view>

namespace tidegate {

// ["a", 1, true, null] is {"a",1,true,NULL}: the elements' text, for a column of any array type. Arrays
// inside become further dimensions, objects their JSON text. Numbers keep their spelling.
std::string json_to_array(std::string_view json);

enum class ElementKind { text, number, boolean };
// {a,"b c",NULL} is ["a","b c",null]. Nothing in a literal tells 1 from "1": `kind` does.
std::string array_to_json(std::string_view literal, ElementKind kind);

}  // namespace tidegate
