#include "capture/sqlite/ddl_reader.hpp"

#include <algorithm>
#include <optional>
#include <span>

#include "capture/sqlite/sql_tokens.hpp"

namespace tidegate::capture {
namespace {

// Recursive descent over SQLite's grammar for CREATE TABLE; expressions are groups in parentheses that are
// stepped over by counting. `take_…` consume what they name and say whether it was there.
class Parser {
 public:
  explicit Parser(std::string_view sql) : tokens_(tokenize(sql)) {}

  TableDdl run() {
    if (!take_header()) {
      give_up("the beginning, CREATE TABLE name (");
      return std::move(out_);
    }
    do {
      read_element();
    } while (take(","));
    if (!take(")")) give_up("the end of the list of columns");
    read_options();
    return std::move(out_);
  }

 private:
  using Words = std::initializer_list<std::string_view>;

  bool ended() const { return at_ >= tokens_.size(); }
  bool at(std::string_view word, std::size_t ahead = 0) const {
    return at_ + ahead < tokens_.size() && is(tokens_[at_ + ahead], word);
  }
  bool at_any(Words words) const {
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return at(word); });
  }
  bool at_name() const {
    if (ended()) return false;
    TokenKind kind = tokens_[at_].kind;
    return kind == TokenKind::word || kind == TokenKind::quoted || kind == TokenKind::string;
  }

  bool take(std::string_view word) {
    bool there = at(word);
    if (there) ++at_;
    return there;
  }
  // All of the words in a row, or none.
  bool take_all(Words words) {
    std::size_t ahead = 0;
    for (std::string_view word : words) {
      if (!at(word, ahead++)) return false;
    }
    at_ += words.size();
    return true;
  }
  bool take_any(Words words) {
    bool there = at_any(words);
    if (there) ++at_;
    return there;
  }
  std::optional<std::string> take_name() {
    if (!at_name()) return std::nullopt;
    return unquoted(tokens_[at_++]);
  }

  // What is between a parenthesis and its partner; absent, with nothing consumed, where there is no partner.
  std::optional<std::span<const Token>> take_group() {
    if (!at("(")) return std::nullopt;
    int depth = 0;
    for (std::size_t i = at_; i < tokens_.size() && tokens_[i].kind != TokenKind::broken; ++i) {
      depth += is(tokens_[i], "(") ? 1 : is(tokens_[i], ")") ? -1 : 0;
      if (depth > 0) continue;
      std::span<const Token> inside(tokens_.data() + at_ + 1, i - at_ - 1);
      at_ = i + 1;
      return inside;
    }
    return std::nullopt;
  }

  void note(const std::string& what) {
    // One phrase for each element is enough; a long token is cut.
    std::string near = ended() ? "its end" : "'" + std::string(tokens_[at_].text.substr(0, 40)) + "'";
    out_.not_understood.push_back(what + ", at " + near);
  }
  void give_up(const std::string& what) {
    note(what);
    at_ = tokens_.size();
  }

  bool take_header() {
    if (!take("CREATE")) return false;
    take_any({"TEMP", "TEMPORARY"});
    if (!take("TABLE")) return false;
    take_all({"IF", "NOT", "EXISTS"});
    std::optional<std::string> name = take_name();
    if (name && take(".")) name = take_name();
    if (!name || !take("(")) return false;
    out_.table = *name;
    return true;
  }

  void read_element() {
    element_ = "the table's constraints";
    name_.clear();
    bool understood = at_table_constraint() ? take_table_constraints() : take_column();
    if (understood && at_any({",", ")"})) return;
    note(element_);
    skip_element();
  }

  void skip_element() {
    while (!ended() && !at_any({",", ")"})) {
      if (!take_group()) ++at_;
    }
  }

  bool at_table_constraint() const { return at_any({"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"}); }

  // SQLite lets the commas between table constraints be left out.
  bool take_table_constraints() {
    while (at_table_constraint()) {
      if (!take_table_constraint()) return false;
    }
    return true;
  }

  bool take_table_constraint() {
    if (take("CONSTRAINT")) return take_constraint_name();
    bool understood = take_table_key() || take_check() || take_table_foreign_key();
    name_.clear();
    return understood;
  }

  bool take_constraint_name() {
    std::optional<std::string> name = take_name();
    name_ = name.value_or("");
    return name.has_value();
  }

  bool take_table_key() {
    if (!take_all({"PRIMARY", "KEY"}) && !take("UNIQUE")) return false;
    auto columns = take_group();
    if (!columns) return false;
    if (!columns->empty() && is(columns->back(), "AUTOINCREMENT")) out_.autoincrement = true;
    return take_conflict();
  }

  bool take_table_foreign_key() {
    return take_all({"FOREIGN", "KEY"}) && take_group() && take_references() && take_deferral();
  }

  bool take_column() {
    std::optional<std::string> name = take_name();
    if (!name) return false;
    element_ = "the column \"" + *name + "\"";
    out_.columns.push_back(*name);
    skip_type();
    while (!ended() && !at_any({",", ")"})) {
      if (!take_column_constraint()) return false;
    }
    return true;
  }

  bool at_column_constraint() const {
    return at_any({"CONSTRAINT", "PRIMARY", "NOT", "NULL", "UNIQUE", "CHECK", "DEFAULT", "COLLATE",
                   "REFERENCES", "AS", "DEFERRABLE"}) ||
           (at("GENERATED") && at("ALWAYS", 1) && at("AS", 2));
  }

  void skip_type() {
    while (at_name() && !at_column_constraint()) ++at_;
    take_group();
  }

  bool take_column_constraint() {
    if (take("CONSTRAINT")) return take_constraint_name();
    bool understood = take_simple_constraint() || take_column_key() || take_check() || take_generated() ||
                      (at("REFERENCES") && take_references()) || (at_deferral() && take_deferral());
    name_.clear();
    return understood;
  }

  bool take_simple_constraint() {
    if (take("DEFAULT")) return take_default();
    if (take("COLLATE")) return take_name().has_value();
    if (take("NULL") || take_all({"NOT", "NULL"})) return take_conflict();
    return false;
  }

  bool take_default() {
    if (at("(")) return take_group().has_value();
    take_any({"+", "-"});
    if (ended() || tokens_[at_].kind == TokenKind::punctuation || tokens_[at_].kind == TokenKind::broken)
      return false;
    ++at_;
    return true;
  }

  bool take_column_key() {
    if (take("UNIQUE")) return take_conflict();
    if (!take_all({"PRIMARY", "KEY"})) return false;
    take_any({"ASC", "DESC"});
    if (!take_conflict()) return false;
    if (take("AUTOINCREMENT")) out_.autoincrement = true;
    return true;
  }

  bool take_check() {
    if (!take("CHECK")) return false;
    auto inside = take_group();
    if (!inside) return false;
    out_.checks.push_back({name_, joined(*inside)});
    return take_conflict();
  }

  bool take_generated() {
    if (!take_all({"GENERATED", "ALWAYS", "AS"}) && !take("AS")) return false;
    auto inside = take_group();
    if (!inside) return false;
    bool stored = take("STORED");
    if (!stored) take("VIRTUAL");
    out_.generated.push_back({out_.columns.back(), joined(*inside), stored});
    return true;
  }

  bool take_references() {
    if (!take("REFERENCES") || !take_name()) return false;
    if (at("(") && !take_group()) return false;
    while (at_any({"ON", "MATCH"})) {
      if (!(take("MATCH") ? take_name().has_value() : take_action())) return false;
    }
    return true;
  }

  bool take_action() {
    if (!take("ON") || !take_any({"DELETE", "UPDATE", "INSERT"})) return false;
    if (take("SET")) return take_any({"NULL", "DEFAULT"});
    return take_any({"CASCADE", "RESTRICT"}) || take_all({"NO", "ACTION"});
  }

  bool at_deferral() const { return at("DEFERRABLE") || (at("NOT") && at("DEFERRABLE", 1)); }

  bool take_deferral() {
    if (!at_deferral()) return true;
    bool never = take("NOT");
    take("DEFERRABLE");
    if (!take("INITIALLY")) return true;
    bool deferred = at("DEFERRED");
    if (deferred && !never) out_.has_deferred_keys = true;
    return take_any({"DEFERRED", "IMMEDIATE"});
  }

  // True also where there is no clause.
  bool take_conflict() {
    if (!take_all({"ON", "CONFLICT"})) return true;
    out_.has_on_conflict = true;
    return take_any({"ROLLBACK", "ABORT", "FAIL", "IGNORE", "REPLACE"});
  }

  void read_options() {
    while (!ended() && !take(";")) {
      if (take_all({"WITHOUT", "ROWID"})) {
        out_.without_rowid = true;
      } else if (take("STRICT")) {
        out_.strict = true;
      } else if (!take(",")) {
        return give_up("the table's options");
      }
    }
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::string name_;     // of the constraint that comes next
  std::string element_;  // what is being read, for note()
  TableDdl out_;
};

}  // namespace

TableDdl read_table_ddl(std::string_view sql) {
  return Parser(sql).run();
}

}  // namespace tidegate::capture
