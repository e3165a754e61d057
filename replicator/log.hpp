// The log: one line per event, as text or as JSON {"ts","level","event","fields"}. Any thread. Never a row
// value.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "replicator/config/settings.hpp"

namespace tidegate {

struct LogField {
  LogField(std::string_view name, std::string_view text) : name(name), text(text), quoted(true) {}
  LogField(std::string_view name, const char* text) : LogField(name, std::string_view(text)) {}
  LogField(std::string_view name, const std::string& text) : LogField(name, std::string_view(text)) {}
  LogField(std::string_view name, bool value) : name(name), text(value ? "true" : "false") {}
  template <typename Number>
  requires std::is_arithmetic_v<Number> LogField(std::string_view name, Number value)
      : name(name), text(fmt::format("{}", value)) {}

  std::string_view name;
  std::string text;
  bool quoted = false;
};

// Where and how to write; before it is called the log is text on stderr from level warn up. Throws Usage
// where the file cannot be opened. The file is made with mode 0600 and appended to.
void start_log(const LogSettings& settings);

bool log_enabled(LogLevel level);
// `event` is a short fixed phrase ("snapshot finished"); what varies goes into the fields.
void log_event(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

template <typename... Args>
void log_at(LogLevel level, fmt::format_string<Args...> text, Args&&... args) {
  if (log_enabled(level)) log_event(level, fmt::format(text, std::forward<Args>(args)...));
}
template <typename... Args>
void log_debug(fmt::format_string<Args...> text, Args&&... args) {
  log_at(LogLevel::debug, text, std::forward<Args>(args)...);
}
template <typename... Args>
void log_info(fmt::format_string<Args...> text, Args&&... args) {
  log_at(LogLevel::info, text, std::forward<Args>(args)...);
}
template <typename... Args>
void log_warn(fmt::format_string<Args...> text, Args&&... args) {
  log_at(LogLevel::warn, text, std::forward<Args>(args)...);
}
template <typename... Args>
void log_error(fmt::format_string<Args...> text, Args&&... args) {
  log_at(LogLevel::error, text, std::forward<Args>(args)...);
}

}  // namespace tidegate
