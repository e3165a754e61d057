#include "replicator/cutover/hook_output.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "replicator/config/url.hpp"

namespace tidegate::cutover {
namespace {

constexpr std::string_view blanks = " \t\r", quotes = "\"'";
constexpr std::array<std::string_view, 11> secret_words{"password", "passwd",      "passphrase",   "secret",
                                                        "token",    "apikey",      "api_key",      "api-key",
                                                        "access_k", "private_key", "authorization"};

bool is_of_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
}

std::string lower(std::string_view text) {
  std::string low(text);
  for (char& c : low) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return low;
}

bool sounds_secret(const std::string& name) {
  return std::any_of(secret_words.begin(), secret_words.end(),
                     [&](std::string_view word) { return name.find(word) != std::string::npos; });
}

// A JSON web token, or a key of Supabase.
bool is_key_itself(const std::string& name) {
  return (name.starts_with("eyj") && name.size() > 16) || name.starts_with("sb_secret_");
}

std::size_t past(std::string_view line, std::size_t at, std::string_view these) {
  return std::min(line.find_first_not_of(these, at), line.size());
}

// Where the value of the name that ends at `at` begins; at the line's end: it has none.
std::size_t value_of(std::string_view line, std::size_t at, const std::string& name) {
  if (is_key_itself(name)) return at;
  const bool is_flag = name.starts_with("--");
  if (name == "bearer" || (is_flag && sounds_secret(name) && line.substr(at).starts_with(' ')))
    return past(line, at, blanks);
  if (!sounds_secret(name)) return line.size();
  at = past(line, past(line, at, quotes), blanks);
  if (at == line.size() || (line[at] != ':' && line[at] != '=')) return line.size();
  return past(line, at + 1, blanks);
}

std::size_t end_of_value(std::string_view line, std::size_t at, const std::string& name) {
  if (at < line.size() && quotes.find(line[at]) != std::string_view::npos)
    return std::min(line.find(line[at], at + 1), line.size() - 1) + 1;
  const bool to_the_end = name.find("authorization") != std::string::npos;
  return std::min(line.find_first_of(to_the_end ? "\"'" : " \t\r\"'&,;)", at), line.size());
}

std::string masked_line(std::string_view line) {
  std::string masked;
  for (std::size_t at = 0; at < line.size();) {
    const auto from = at;
    while (at < line.size() && is_of_name(line[at])) ++at;
    if (at == from) {
      masked += line[at++];
      continue;
    }
    const std::string name = lower(line.substr(from, at - from));
    if (!is_key_itself(name)) masked += line.substr(from, at - from);
    const auto value = value_of(line, at, name);
    if (value == line.size() && !is_key_itself(name)) continue;
    masked += line.substr(at, value - at);
    masked += "***";
    at = end_of_value(line, value, name);
  }
  return masked;
}

}  // namespace

std::string masked_output(std::string_view text) {
  std::string masked;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    masked += masked_line(masked_text(text.substr(at, end - at)));
    if (end < text.size()) masked += '\n';
    at = end + 1;
  }
  return masked;
}

std::string without_output(const std::string& detail) {
  return detail.substr(0, detail.find(output_mark));
}

}  // namespace tidegate::cutover
