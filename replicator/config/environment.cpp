#include "replicator/config/environment.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "replicator/failure.hpp"

namespace tidegate {

namespace {

constexpr std::uintmax_t largest_text_file = 1 << 20;  // a configuration, not a database given by mistake

struct Line {
  std::string_view text;
  std::string place;
};

[[noreturn]] void refuse(const Line& line, std::string_view what) {
  throw Coded<Usage>("bad-env-file", fmt::format("{}: {}", line.place, what),
                     "write NAME=value, or NAME=\"value\"");
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

void must_be_comment(const Line& line, std::string_view rest) {
  rest = trimmed(rest);
  if (!rest.empty() && rest.front() != '#') refuse(line, "something follows the closing quote");
}

std::string double_quoted(const Line& line, std::string_view text) {
  std::string value;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      must_be_comment(line, text.substr(i + 1));
      return value;
    }
    if (text[i] == '\\' && i + 1 < text.size() && std::strchr("n\"\\$", text[i + 1])) {
      ++i;
      value += text[i] == 'n' ? '\n' : text[i];
    } else {
      value += text[i];
    }
  }
  refuse(line, "the quote is not closed");
}

std::string value_of(const Line& line, std::string_view text) {
  if (text.starts_with('"')) return double_quoted(line, text);
  if (text.starts_with('\'')) {
    const auto close = text.find('\'', 1);
    if (close == std::string_view::npos) refuse(line, "the quote is not closed");
    must_be_comment(line, text.substr(close + 1));
    return std::string(text.substr(1, close - 1));
  }
  return std::string(trimmed(text.substr(0, text.find(" #"))));
}

bool is_name(std::string_view name) {
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name.front()))) return false;
  for (const char c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_') return false;
  return true;
}

}  // namespace

Environment process_environment() {
  Environment environment;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    environment[std::string(text.substr(0, equals))] = {std::string(text.substr(equals + 1)), "environment"};
  }
  return environment;
}

Environment parse_env_file(std::string_view text, const std::string& file_name) {
  Environment environment;
  for (int number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    Line line{trimmed(text.substr(0, end)), fmt::format("{}:{}", file_name, number)};
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (line.text.empty() || line.text.front() == '#') continue;
    if (line.text.starts_with("export ")) line.text = trimmed(line.text.substr(7));
    const auto equals = line.text.find('=');
    if (equals == std::string_view::npos) refuse(line, "there is no '='");
    const auto name = trimmed(line.text.substr(0, equals));
    if (!is_name(name)) refuse(line, "the name is not one of letters, digits and _");
    environment[std::string(name)] = {value_of(line, trimmed(line.text.substr(equals + 1))), line.place};
  }
  return environment;
}

void add_env_file(Environment& environment, const std::filesystem::path& file) {
  for (auto& [name, variable] : parse_env_file(read_small_file(file, "env file"), file.string()))
    environment.try_emplace(name, std::move(variable));
}

std::string read_small_file(const std::filesystem::path& file, std::string_view what) {
  const auto refuse_file = [&](std::string_view why) {
    throw Coded<Usage>("no-such-file", fmt::format("the {} {} {}", what, file.string(), why));
  };
  std::error_code failure;
  const auto status = std::filesystem::status(file, failure);
  if (!std::filesystem::exists(status)) refuse_file("does not exist");
  if (std::filesystem::is_directory(status)) refuse_file("is a folder");
  if (std::filesystem::is_regular_file(status) &&
      std::filesystem::file_size(file, failure) > largest_text_file)
    refuse_file("is larger than 1 MiB: is it the right file?");
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  if (!stream) refuse_file(fmt::format("cannot be read ({})", std::strerror(errno)));
  text << stream.rdbuf();
  return text.str();
}

}  // namespace tidegate
