#include "replicator/schema/statement.hpp"

#include <algorithm>
#include <array>

#include "apply/plan.hpp"
#include "db/postgres.hpp"

namespace tidegate::schema {
namespace {

using native::Token;
using Tokens = std::vector<Token>;

constexpr std::array kinds{"table",     "index",    "type",      "domain",     "sequence",  "schema",
                           "extension", "function", "procedure", "aggregate",  "collation", "statistics",
                           "view",      "policy",   "trigger",   "publication"};

Tokens code_of(std::string_view statement) {
  Tokens tokens = native::tokens_of(statement);
  std::erase_if(tokens, [](const Token& token) { return token.kind == Token::Kind::comment; });
  return tokens;
}

// Reads forward; past the end every word is missing.
class Reader {
 public:
  explicit Reader(const Tokens& tokens) : tokens_(tokens) {}

  bool done() const { return at_ >= tokens_.size(); }
  const Token& here() const { return tokens_[at_]; }
  void pass() { ++at_; }
  bool word(std::string_view lower) {
    if (done() || !here().is_word(lower)) return false;
    return ++at_, true;
  }
  bool words(std::initializer_list<std::string_view> all) {
    const std::size_t begin = at_;
    for (auto each : all) {
      if (!word(each)) return at_ = begin, false;
    }
    return true;
  }
  bool symbol(std::string_view text) {
    if (done() || !here().is(text)) return false;
    return ++at_, true;
  }
  std::string name() {
    if (done() || here().kind != Token::Kind::name) return {};
    return tokens_[at_++].text;
  }
  QualifiedName qualified_name() {
    std::string first = name();
    return symbol(".") ? QualifiedName{first, name()} : QualifiedName{"public", first};
  }
  // Goes behind the next such word; false where there is none.
  bool find(std::string_view lower) {
    while (!done() && !here().is_word(lower)) ++at_;
    return word(lower);
  }

 private:
  const Tokens& tokens_;
  std::size_t at_ = 0;
};

std::string spelled(const Token& token) {
  if (token.kind == Token::Kind::name) return quoted(token.text);
  return token.kind == Token::Kind::text ? postgres::literal(token.text) : token.text;
}

// Up to the parenthesis that closes the next one.
std::string arguments(Reader& reader) {
  std::string text;
  int depth = 0;
  for (; !reader.done(); reader.pass()) {
    const Token& token = reader.here();
    depth += token.is("(") - token.is(")");
    if (token.is("(") && depth == 1) continue;
    if (depth == 0) break;
    text += (text.empty() || token.is(",") ? "" : " ") + (token.quoted ? quoted(token.text) : token.text);
  }
  return text;
}

QualifiedName table_after_on(Reader& reader) {
  if (!reader.find("on")) return {};
  reader.word("only");
  return reader.qualified_name();
}

Subject named(Reader& reader, std::string kind) {
  reader.word("concurrently");
  reader.words({"if", "not", "exists"});
  if (kind == "index" || kind == "policy" || kind == "trigger") {
    std::string part = reader.name();
    return {std::move(kind), table_after_on(reader), std::move(part)};
  }
  Subject subject{std::move(kind), reader.qualified_name(), {}};
  if (subject.kind == "function" || subject.kind == "procedure" || subject.kind == "aggregate")
    subject.part = arguments(reader);
  return subject;
}

Subject created(Reader& reader) {
  constexpr int most_words_before = 4;  // OR REPLACE, UNLOGGED, UNIQUE, ...
  for (int i = 0; i <= most_words_before && !reader.done(); ++i, reader.pass()) {
    for (const char* kind : kinds) {
      if (reader.word(kind)) return named(reader, kind);
    }
  }
  return {};
}

// Behind ALTER TABLE … ALTER.
Subject typed(Reader& reader, QualifiedName table) {
  reader.word("column");
  std::string column = reader.name();
  reader.words({"set", "data"});
  if (!reader.word("type")) return {};
  return {"column type", std::move(table), std::move(column)};
}

Subject added_to_table(Reader& reader) {
  reader.words({"if", "exists"});
  reader.word("only");
  QualifiedName table = reader.qualified_name();
  if (reader.word("alter")) return typed(reader, std::move(table));
  if (!reader.word("add")) return {};
  if (reader.word("constraint")) return {"constraint", std::move(table), reader.name()};
  if (!reader.word("column")) return {};
  reader.words({"if", "not", "exists"});
  return {"column", std::move(table), reader.name()};
}

Subject added_to_type(Reader& reader) {
  QualifiedName type = reader.qualified_name();
  if (!reader.words({"add", "value"})) return {};
  reader.words({"if", "not", "exists"});
  return {"label", std::move(type), reader.done() ? "" : reader.here().text};
}

std::string upper(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return text;
}

std::string reverse_grant(std::string_view statement, const Tokens& tokens) {
  const auto to =
      std::find_if(tokens.begin(), tokens.end(), [](const Token& token) { return token.is_word("to"); });
  if (to == tokens.end()) return {};
  return "REVOKE" + std::string(statement.substr(tokens[0].end, to->begin - tokens[0].end)) + "FROM" +
         std::string(statement.substr(to->end));
}

std::string dropped(const Subject& subject) {
  const std::string of_table = "ALTER TABLE " + qualified(subject.name) + " DROP ";
  if (subject.kind == "column") return of_table + "COLUMN " + quoted(subject.part);
  if (subject.kind == "constraint") return of_table + "CONSTRAINT " + quoted(subject.part);
  if (subject.kind == "index") return "DROP INDEX " + qualified({subject.name.first, subject.part});
  const std::string drop = "DROP " + upper(subject.kind) + " ";
  if (subject.kind == "policy" || subject.kind == "trigger")
    return drop + quoted(subject.part) + " ON " + qualified(subject.name);
  if (subject.kind == "schema" || subject.kind == "extension" || subject.kind == "publication")
    return drop + quoted(subject.name.second);
  const bool has_defaults = subject.part.find(" default ") != std::string::npos;  // DROP knows none
  const bool has_arguments = subject.kind == "function" || subject.kind == "procedure";
  return drop + qualified(subject.name) + (has_arguments && !has_defaults ? "(" + subject.part + ")" : "");
}

bool has_word(const Tokens& tokens, std::string_view word) {
  return std::any_of(tokens.begin(), tokens.end(), [&](const Token& token) { return token.is_word(word); });
}

}  // namespace

std::string qualified(const QualifiedName& name) {
  return quoted(name.first) + "." + quoted(name.second);
}

Subject subject_of(std::string_view statement) {
  const Tokens tokens = code_of(statement);
  Reader reader(tokens);
  if (reader.word("create")) return created(reader);
  if (reader.words({"alter", "table"})) return added_to_table(reader);
  return reader.words({"alter", "type"}) ? added_to_type(reader) : Subject{};
}

std::string plain_text(std::string_view statement) {
  const Tokens tokens = code_of(statement);
  std::string text;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool if_not_exists = i + 2 < tokens.size() && tokens[i].is_word("if") &&
                               tokens[i + 1].is_word("not") && tokens[i + 2].is_word("exists");
    if (if_not_exists) i += 2;
    if (if_not_exists || tokens[i].is_word("concurrently")) continue;
    text += (text.empty() ? "" : " ") + spelled(tokens[i]);
  }
  return text;
}

std::string reverse_of(std::string_view statement) {
  const Tokens tokens = code_of(statement);
  if (!tokens.empty() && tokens[0].is_word("grant")) return reverse_grant(statement, tokens);
  const Subject subject = subject_of(statement);
  const bool stays = subject.kind.empty() || subject.kind == "label" || subject.kind == "column type";
  return stays ? std::string() : dropped(subject);
}

bool fits_transaction(std::string_view statement) {
  const Tokens tokens = code_of(statement);
  if (tokens.empty()) return true;
  constexpr std::array alone{"begin", "start", "commit", "end", "rollback", "vacuum"};
  for (const char* word : alone) {
    if (tokens[0].is_word(word)) return false;
  }
  if (tokens.size() > 2 && tokens[0].is_word("alter") && tokens[1].is_word("system")) return false;
  return !has_word(tokens, "concurrently") || subject_of(statement).kind == "function";
}

std::vector<Member> members_of(std::string_view statement) {
  std::vector<Member> members;
  std::size_t begin = 0, end = 0;
  int depth = 0;
  const auto close = [&] {
    std::string text(statement.substr(begin, end - begin));
    if (end > begin) members.push_back({text, code_of(text)});
  };
  for (const Token& token : code_of(statement)) {
    const bool opens = token.is("(") || token.is("["), closes = token.is(")") || token.is("]");
    depth -= closes;
    if (closes && depth == 0) return close(), members;
    if (depth == 1 && token.is(","))
      close(), begin = end = 0;
    else if (depth >= 1)
      begin = begin ? begin : token.begin, end = token.end;
    depth += opens;
  }
  return members;
}

Member column_of(std::string_view statement) {
  const Tokens tokens = code_of(statement);
  Reader reader(tokens);
  reader.find("add");
  reader.find("column");
  reader.words({"if", "not", "exists"});
  std::string text(reader.done() ? std::string_view() : statement.substr(reader.here().begin));
  Tokens own = code_of(text);
  return {std::move(text), std::move(own)};
}

std::string type_of(std::string_view statement) {
  const Tokens tokens = code_of(statement);
  Reader reader(tokens);
  reader.find("alter");
  reader.find("alter");
  if (!reader.find("type") || reader.done()) return {};
  const std::size_t begin = reader.here().begin;
  std::size_t end = begin;
  for (; !reader.done() && !reader.here().is_word("using") && !reader.here().is_word("collate");
       reader.pass())
    end = reader.here().end;
  return std::string(statement.substr(begin, end - begin));
}

}  // namespace tidegate::schema
