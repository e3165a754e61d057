#include "replicator/log.hpp"

#include <fcntl.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>

#include "replicator/failure.hpp"

namespace tidegate {

namespace {

constexpr const char* text_pattern = "%Y-%m-%dT%H:%M:%S.%eZ %-7l %v";
constexpr const char* json_pattern = R"({"ts":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";

struct Log {
  std::shared_ptr<spdlog::logger> logger;
  LogFormat format;
};

spdlog::level::level_enum level_of(LogLevel level) {
  constexpr spdlog::level::level_enum levels[] = {spdlog::level::debug, spdlog::level::info,
                                                  spdlog::level::warn, spdlog::level::err};
  return levels[static_cast<int>(level)];
}

std::shared_ptr<const Log> make_log(spdlog::sink_ptr sink, LogFormat format, LogLevel level) {
  auto logger = std::make_shared<spdlog::logger>("tidegate", std::move(sink));
  logger->set_pattern(format == LogFormat::json ? json_pattern : text_pattern,
                      spdlog::pattern_time_type::utc);
  logger->set_level(level_of(level));
  logger->flush_on(spdlog::level::info);
  return std::make_shared<const Log>(Log{std::move(logger), format});
}

std::mutex log_mutex;  // guards the pointer only; spdlog's sinks have their own

std::shared_ptr<const Log>& log_pointer() {
  static auto log =
      make_log(std::make_shared<spdlog::sinks::stderr_sink_mt>(), LogFormat::text, LogLevel::warn);
  return log;
}

std::shared_ptr<const Log> current_log() {
  const std::lock_guard guard(log_mutex);
  return log_pointer();
}

// spdlog would make the file as the umask has it.
void make_private_file(const std::string& file) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (descriptor < 0)
    throw Coded<Usage>("log-file",
                       fmt::format("the log file {} cannot be written ({})", file, std::strerror(errno)));
  ::close(descriptor);
}

bool is_plain(std::string_view text) {
  return !text.empty() && text.find_first_of(" \t\r\n\"=\\") == std::string_view::npos;
}

std::string json_quoted(std::string_view text) {
  return boost::json::serialize(boost::json::string(text));
}

// A line break in a field must not begin a line of its own.
std::string text_line(std::string_view event, std::initializer_list<LogField> fields) {
  std::string line(event);
  for (char& c : line)
    if (c == '\n' || c == '\r') c = ' ';
  for (const auto& field : fields)
    line += fmt::format(" {}={}", field.name,
                        !field.quoted || is_plain(field.text) ? field.text : json_quoted(field.text));
  return line;
}

// JSON has no word for infinity or NaN: such a number becomes a string.
bool needs_quotes(const LogField& field) {
  return field.quoted || field.text.find("inf") != std::string::npos ||
         field.text.find("nan") != std::string::npos;
}

std::string json_members(std::string_view event, std::initializer_list<LogField> fields) {
  std::string members = fmt::format("\"event\":{},\"fields\":{{", json_quoted(event));
  const char* comma = "";
  for (const auto& field : fields) {
    members += fmt::format("{}{}:{}", comma, json_quoted(field.name),
                           needs_quotes(field) ? json_quoted(field.text) : field.text);
    comma = ",";
  }
  return members + "}";
}

}  // namespace

void start_log(const LogSettings& settings) {
  spdlog::sink_ptr sink;
  if (settings.file.empty()) {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  } else {
    make_private_file(settings.file);
    sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(settings.file);
  }
  auto log = make_log(std::move(sink), settings.format, settings.level);
  const std::lock_guard guard(log_mutex);
  log_pointer() = std::move(log);
}

bool log_enabled(LogLevel level) {
  return current_log()->logger->should_log(level_of(level));
}

void log_event(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  const auto log = current_log();
  if (!log->logger->should_log(level_of(level))) return;
  log->logger->log(level_of(level), "{}",
                   log->format == LogFormat::json ? json_members(event, fields) : text_line(event, fields));
}

}  // namespace tidegate
