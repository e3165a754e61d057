#pragma once

namespace tidegate {

inline constexpr const char* program_version = "0.1.0";  // the project() version of CMakeLists.txt

}  // namespace tidegate
