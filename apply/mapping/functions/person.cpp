#include "apply/mapping/functions/person.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <vector>

#include "db/digest.hpp"
#include "proto/change.hpp"

namespace tidegate {
namespace {

// Words that begin a family name of several words. Compared in lower case.
constexpr std::array<std::string_view, 30> particles = {
    "af", "al", "av",  "bin", "bint", "da",  "dal", "de",  "del", "della", "den", "der", "des", "di", "dos",
    "du", "el", "ibn", "la",  "le",   "mac", "san", "st.", "ten", "ter",   "van", "vom", "von", "y",  "zu"};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::vector<std::string_view> words_of(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  std::vector<std::string_view> words;
  for (std::size_t at = text.find_first_not_of(blanks); at != text.npos;
       at = text.find_first_not_of(blanks, at)) {
    const std::size_t end = std::min(text.find_first_of(blanks, at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

using Word = std::vector<std::string_view>::const_iterator;

std::string joined(Word first, Word last) {
  std::string out;
  for (; first != last; ++first) out.append(out.empty() ? "" : " ").append(*first);
  return out;
}

bool is_particle(std::string_view word) {
  return std::find(particles.begin(), particles.end(), lower(word)) != particles.end();
}

bool is_suffix(std::string_view word) {
  constexpr std::array<std::string_view, 7> suffixes = {"jr", "jr.", "sr", "sr.", "ii", "iii", "iv"};
  return std::find(suffixes.begin(), suffixes.end(), lower(word)) != suffixes.end();
}

// Where the family name begins, in a name of two words or more: at its first particle, else at the last word
// that is no suffix. Never at the first word.
Word family_name(const std::vector<std::string_view>& words) {
  const auto particle = std::find_if(words.begin() + 1, words.end() - 1, is_particle);
  if (particle != words.end() - 1) return particle;
  auto last = words.end() - 1;
  while (last - words.begin() > 1 && is_suffix(*last)) --last;
  return last;
}

bool is_domain(std::string_view domain) {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789-.";
  return !domain.empty() && domain.size() <= 190 && domain.find_first_not_of(letters) == domain.npos &&
         domain.front() != '.' && domain.back() != '.' && domain.find("..") == domain.npos;
}

// Short, in lower case, and not to be taken for a number or a digest.
bool is_showable(std::string_view key) {
  return !key.empty() && key.size() <= 30 && key.front() >= 'a' && key.front() <= 'z' && key.back() != '-' &&
         key.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == key.npos;
}

std::string shown(const Value& key) {
  if (const auto* number = std::get_if<std::int64_t>(&key); number && *number >= 0)
    return std::to_string(*number);
  if (const auto* text = std::get_if<std::string>(&key); text && is_showable(*text)) return *text;
  return "x" + hex_sha256(key_as_json({key})).substr(0, 32);
}

}  // namespace

PersonName split_name(std::string_view full) {
  const std::size_t comma = full.find(',');
  const auto words = words_of(full.substr(0, comma));
  if (comma != full.npos) {
    const auto after = words_of(full.substr(comma + 1));
    // "Berg, Maria", but "Martin King, Jr."
    if (after.size() != 1 || !is_suffix(after[0]))
      return {joined(after.begin(), after.end()), joined(words.begin(), words.end())};
    auto [first, last] = split_name(full.substr(0, comma));
    return {first, last + ", " + std::string(after[0])};
  }
  if (words.size() < 2) return {joined(words.begin(), words.end()), ""};
  const auto family = family_name(words);
  return {joined(words.begin(), family), joined(family, words.end())};
}

std::string missing_email(const Value& key, std::string_view domain) {
  const std::string name = lower(domain);
  if (!is_domain(name))
    throw std::invalid_argument("missing_email: the second argument is not a domain name");
  return "no-email-" + shown(key) + "@" + name;
}

}  // namespace tidegate
