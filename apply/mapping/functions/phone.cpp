#include "apply/mapping/functions/phone.hpp"

#include <algorithm>
#include <cctype>
#include <regex>
#include <stdexcept>

#include "apply/mapping/functions/numbering_plans.hpp"

namespace tidegate {
namespace {

constexpr std::size_t longest = 15;  // digits, calling code included

char upper(char c) {
  return static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

const NumberingPlan& plan_of(std::string_view region) {
  std::string name(region);
  std::transform(name.begin(), name.end(), name.begin(), upper);
  if (const auto* plan = numbering_plan(name)) return *plan;
  throw std::invalid_argument("e164: the region is not one of ISO 3166's two letters");
}

// "12 ext. 3", "12x3", "12 #3": without the extension. Other words are no extension, and make the number
// unusable.
std::string_view without_extension(std::string_view text) {
  static const std::regex extension("\\s*(ext\\.?|x|#)\\s*[0-9]{1,6}\\s*$", std::regex::icase);
  constexpr std::size_t longest_text = 64;
  std::match_results<std::string_view::const_iterator> found;
  if (text.size() > longest_text || !std::regex_search(text.begin(), text.end(), found, extension))
    return text;
  return text.substr(0, static_cast<std::size_t>(found.position(0)));
}

struct Dialled {
  bool plus = false, zero_in_brackets = false;
  std::string digits;
};

std::optional<Dialled> dialled(std::string_view phone) {
  Dialled out;
  std::string_view text = without_extension(phone);
  if (text.starts_with("tel:")) text.remove_prefix(4);
  std::string kept;
  for (char c : text) {
    if (std::string_view(" \t-./()").find(c) == std::string_view::npos) kept += c;
  }
  out.zero_in_brackets = text.find("(0)") != text.npos;
  out.plus = kept.starts_with('+');
  out.digits = kept.substr(out.plus ? 1 : 0);
  if (out.digits.empty() || !std::all_of(out.digits.begin(), out.digits.end(), is_digit)) return std::nullopt;
  return out;
}

bool fits(const NumberingPlan& plan, std::string_view national) {
  return national.size() >= plan.shortest && national.size() <= plan.longest;
}

// Without the trunk prefix; a number that begins with the same digits by chance (Russia's 812) is told by its
// length.
std::optional<std::string_view> national(const NumberingPlan& plan, std::string_view digits) {
  const bool has_trunk = !plan.trunk.empty() && digits.starts_with(plan.trunk);
  const auto number = digits.substr(has_trunk ? plan.trunk.size() : 0);
  if (fits(plan, number)) return number;
  if (has_trunk && plan.trunk.front() != '0' && fits(plan, digits)) return digits;
  return std::nullopt;
}

// A trunk prefix that was written behind the calling code, as "(0)" or not, is no part of the number; where
// there is none to be dialled (Italy), a zero is.
std::optional<std::string_view> national_abroad(unsigned code, std::string_view digits,
                                                bool zero_in_brackets) {
  for (const auto& plan : numbering_plans()) {
    if (plan.calling_code != code) continue;
    if (auto number = national(plan, digits)) return number;
    if (zero_in_brackets && digits.starts_with('0') && fits(plan, digits.substr(1))) return digits.substr(1);
  }
  return std::nullopt;
}

// No calling code is the beginning of another.
std::optional<std::string> international(std::string_view digits, bool zero_in_brackets) {
  unsigned code = 0;
  for (std::size_t i = 0; i < 3 && i < digits.size(); ++i) {
    code = code * 10 + static_cast<unsigned>(digits[i] - '0');
    const auto number = national_abroad(code, digits.substr(i + 1), zero_in_brackets);
    if (number && i + 1 + number->size() <= longest) return '+' + std::to_string(code) + std::string(*number);
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> e164(std::string_view phone, std::string_view region) {
  const NumberingPlan& plan = plan_of(region);
  const auto number = dialled(phone);
  if (!number) return std::nullopt;
  const std::string& digits = number->digits;
  const auto abroad = [&](std::size_t prefix) {
    return international(std::string_view(digits).substr(prefix), number->zero_in_brackets);
  };
  if (number->plus) return abroad(0);
  if (!plan.international.empty() && digits.starts_with(plan.international))
    return abroad(plan.international.size());
  // No national number begins like this: whoever wrote it meant the most common of the international
  // prefixes.
  if (digits.starts_with("00")) return abroad(2);
  const auto number_at_home = national(plan, digits);
  if (!number_at_home) return std::nullopt;
  return '+' + std::to_string(plan.calling_code) + std::string(*number_at_home);
}

}  // namespace tidegate
