#include "apply/schema/native/pg_tokens.hpp"

#include <algorithm>
#include <stdexcept>

namespace tidegate::native {
namespace {

constexpr std::string_view operator_characters = "+-*/<>=~!@#%^&|`?:";
constexpr auto npos = std::string_view::npos;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool starts_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
}
bool continues_name(char c) {
  return starts_name(c) || is_digit(c) || c == '$';
}
bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

std::string folded(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

class Lexer {
 public:
  explicit Lexer(std::string_view sql) : sql_(sql) {}

  // Nothing at the end.
  std::optional<Token> next() {
    skip_space();
    if (at_ >= sql_.size()) return std::nullopt;
    Token token;
    token.begin = at_;
    read(token);
    token.end = at_;
    return token;
  }

  void skip_space() {
    while (at_ < sql_.size() && is_space(sql_[at_])) ++at_;
  }
  // psql's own commands stand alone on a line.
  void skip_commands() {
    for (skip_space(); at_ < sql_.size() && sql_[at_] == '\\'; skip_space())
      at_ = std::min(sql_.find('\n', at_), sql_.size());
  }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0'; }
  bool looking_at(std::string_view text) const { return sql_.substr(at_).starts_with(text); }

  [[noreturn]] void fail(const char* what, std::size_t begin) const {
    throw std::invalid_argument(std::string("SQL: ") + what + " that begins at byte " +
                                std::to_string(begin) + " stays open");
  }

  void read(Token& token) {
    const char c = peek();
    if (looking_at("--") || looking_at("/*")) return read_comment(token);
    if (c == '\'') return read_text(token, false);
    if ((c == 'e' || c == 'E') && peek(1) == '\'') return ++at_, read_text(token, true);
    if (c == '"') return read_quoted_name(token);
    if (c == '$' && !is_digit(peek(1))) return read_dollar(token);
    if (starts_name(c)) return read_name(token);
    if (is_digit(c)) return read_number(token);
    read_symbol(token);
  }

  void read_comment(Token& token) {
    token.kind = Token::Kind::comment;
    const std::size_t begin = at_;
    if (looking_at("--")) {
      at_ = std::min(sql_.find('\n', at_), sql_.size());
    } else {
      int depth = 0;
      do {
        if (at_ >= sql_.size()) fail("a comment", begin);
        const bool opens = looking_at("/*"), closes = looking_at("*/");
        depth += opens - closes;
        at_ += opens || closes ? 2 : 1;
      } while (depth > 0);
    }
    token.text = sql_.substr(begin, at_ - begin);
  }

  // `at_` stands at the quote.
  void read_text(Token& token, bool backslashes) {
    token.kind = Token::Kind::text;
    const std::size_t begin = at_++;
    for (;; ++at_) {
      if (at_ >= sql_.size()) fail("a text", begin);
      if (peek() == '\'' && peek(1) != '\'') break;
      if (peek() == '\'' || (backslashes && peek() == '\\' && at_ + 1 < sql_.size())) ++at_;
      token.text += peek();
    }
    ++at_;
  }

  void read_quoted_name(Token& token) {
    token.kind = Token::Kind::name;
    token.quoted = true;
    const std::size_t begin = at_++;
    for (;; ++at_) {
      if (at_ >= sql_.size()) fail("a quoted name", begin);
      if (peek() == '"' && peek(1) != '"') break;
      if (peek() == '"') ++at_;
      token.text += peek();
    }
    ++at_;
  }

  void read_dollar(Token& token) {
    const std::size_t begin = at_, close = sql_.find('$', at_ + 1);
    bool is_tag = close != npos;
    for (std::size_t i = begin + 1; is_tag && i < close; ++i)
      is_tag = continues_name(sql_[i]) && sql_[i] != '$';
    if (!is_tag) return read_symbol(token);
    const std::string_view tag = sql_.substr(begin, close - begin + 1);
    const std::size_t end = sql_.find(tag, close + 1);
    if (end == npos) fail("a text", begin);
    token.kind = Token::Kind::text;
    token.text = sql_.substr(close + 1, end - close - 1);
    at_ = end + tag.size();
  }

  void read_name(Token& token) {
    token.kind = Token::Kind::name;
    const std::size_t begin = at_;
    while (at_ < sql_.size() && continues_name(sql_[at_])) ++at_;
    token.text = folded(sql_.substr(begin, at_ - begin));
  }

  void read_number(Token& token) {
    token.kind = Token::Kind::number;
    const std::size_t begin = at_;
    while (at_ < sql_.size() && (continues_name(sql_[at_]) || sql_[at_] == '.')) ++at_;
    token.text = sql_.substr(begin, at_ - begin);
  }

  void read_symbol(Token& token) {
    const std::size_t begin = at_;
    const auto is_operator = [&] {
      return at_ < sql_.size() && operator_characters.find(sql_[at_]) != npos && !looking_at("--") &&
             !looking_at("/*");
    };
    while (is_operator()) ++at_;
    if (at_ == begin) ++at_;
    token.text = sql_.substr(begin, at_ - begin);
  }

  std::string_view sql_;
  std::size_t at_ = 0;
};

// Knows where a statement ends: semicolons in a function's BEGIN ATOMIC … END belong to it.
class StatementEnd {
 public:
  bool is_end(const Token& token) {
    if (token.is(";")) return depth_ == 0;
    const bool opens = token.is_word("begin") || token.is_word("case");
    if (depth_ > 0) depth_ += opens - token.is_word("end");
    if (depth_ == 0 && before_ && token.is_word("atomic")) depth_ = 1;
    before_ = token.is_word("begin");
    return false;
  }

 private:
  int depth_ = 0;
  bool before_ = false;  // the last token was BEGIN
};

// The whole of a literal that is such a name.
std::optional<QualifiedName> literal_name(const Token& token) {
  if (token.kind != Token::Kind::text || token.text.find('.') == std::string::npos) return std::nullopt;
  try {
    const auto inner = tokens_of(token.text);
    const bool is_name = inner.size() == 3 && inner[0].kind == Token::Kind::name && inner[1].is(".") &&
                         inner[2].kind == Token::Kind::name;
    if (is_name) return QualifiedName{inner[0].text, inner[2].text};
  } catch (const std::invalid_argument&) {  // a text like any other
  }
  return std::nullopt;
}

bool can_be_named(const Token& token) {
  if (token.kind == Token::Kind::name) return true;
  return token.kind == Token::Kind::symbol && operator_characters.find(token.text[0]) != npos;
}

// Calls `found(i)` for each place where name . name begins; a column after that is passed over.
template <typename Found>
void each_name(const std::vector<Token>& tokens, const Found& found) {
  for (std::size_t i = 0; i + 2 < tokens.size(); ++i) {
    if (tokens[i].kind != Token::Kind::name || !tokens[i + 1].is(".") || !can_be_named(tokens[i + 2]))
      continue;
    found(i);
    i += 2;
    while (i + 2 < tokens.size() && tokens[i + 1].is(".")) i += 2;
  }
}

std::string text_quoted(const std::string& text) {
  std::string quoted = "'";
  for (char c : text) quoted += c == '\'' ? "''" : std::string(1, c);
  return quoted + "'";
}

// One replacement in a statement.
struct Edit {
  std::size_t begin, end;
  std::string text;
};

// 'public.a_seq'::regclass and the like; any other literal is a value.
bool is_object_name(const std::vector<Token>& tokens, std::size_t i) {
  if (i + 2 >= tokens.size() || !tokens[i + 1].is("::")) return false;
  const bool qualified = i + 4 < tokens.size() && tokens[i + 3].is(".");
  return tokens[i + (qualified ? 4 : 2)].text.starts_with("reg");
}

void edit_text(std::string_view statement, const Token& token, bool is_name, const MovedNames& moved,
               std::vector<Edit>& edits) {
  const auto name = is_name ? literal_name(token) : std::nullopt;
  if (name) {
    const auto to = moved.find(*name);
    if (to == moved.end()) return;
    edits.push_back({token.begin, token.end, text_quoted(quoted(to->second) + "." + quoted(name->second))});
  } else if (statement[token.begin] == '$') {
    const std::string_view raw = statement.substr(token.begin, token.end - token.begin);
    const std::string tag(raw.substr(0, raw.find('$', 1) + 1));
    try {
      edits.push_back({token.begin, token.end, tag + with_moved(token.text, moved) + tag});
    } catch (const std::invalid_argument&) {  // a body in another language
    }
  }
}

}  // namespace

std::vector<Token> tokens_of(std::string_view sql) {
  Lexer lexer(sql);
  std::vector<Token> tokens;
  while (auto token = lexer.next()) tokens.push_back(std::move(*token));
  return tokens;
}

std::vector<Piece> pieces_of(std::string_view sql) {
  Lexer lexer(sql);
  std::vector<Piece> pieces;
  std::optional<std::size_t> begin;
  std::size_t end = 0;
  StatementEnd ends;
  const auto close = [&] {
    if (begin) pieces.push_back({false, std::string(sql.substr(*begin, end - *begin))});
    begin.reset();
    ends = {};
  };
  for (;;) {
    if (!begin) lexer.skip_commands();
    auto token = lexer.next();
    if (!token) break;
    if (!begin && token->kind == Token::Kind::comment) {
      pieces.push_back({true, token->text});
    } else if (ends.is_end(*token)) {
      close();
    } else {
      if (!begin) begin = token->begin;
      end = token->end;
    }
  }
  close();
  return pieces;
}

std::vector<QualifiedName> names_in(std::string_view statement, bool bodies) {
  const auto tokens = tokens_of(statement);
  std::vector<QualifiedName> names;
  each_name(tokens, [&](std::size_t i) { names.emplace_back(tokens[i].text, tokens[i + 2].text); });
  for (const Token& token : tokens) {
    if (const auto name = literal_name(token)) names.push_back(*name);
    if (!bodies || token.kind != Token::Kind::text) continue;
    try {
      const auto inner = names_in(token.text);
      names.insert(names.end(), inner.begin(), inner.end());
    } catch (const std::invalid_argument&) {  // not SQL
    }
  }
  return names;
}

std::string with_moved(std::string_view statement, const MovedNames& moved) {
  if (moved.empty()) return std::string(statement);
  const auto tokens = tokens_of(statement);
  std::vector<Edit> edits;
  each_name(tokens, [&](std::size_t i) {
    const auto to = moved.find({tokens[i].text, tokens[i + 2].text});
    if (to != moved.end()) edits.push_back({tokens[i].begin, tokens[i].end, quoted(to->second)});
  });
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i].kind == Token::Kind::text)
      edit_text(statement, tokens[i], is_object_name(tokens, i), moved, edits);
  }
  std::sort(edits.begin(), edits.end(), [](const Edit& a, const Edit& b) { return a.begin < b.begin; });
  std::string result;
  std::size_t done = 0;
  for (const Edit& edit : edits) {
    result += statement.substr(done, edit.begin - done);
    result += edit.text;
    done = edit.end;
  }
  result += statement.substr(done);
  return result;
}

}  // namespace tidegate::native
