#include "replicator/schema/difference.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "db/postgres.hpp"
#include "replicator/schema/column_type.hpp"
#include "replicator/schema/statement.hpp"

namespace tidegate::schema {
namespace {

using native::Token;

bool is_constraint(const Member& member) {
  constexpr std::array words{"constraint", "primary", "unique", "check", "foreign", "exclude", "like"};
  return std::any_of(words.begin(), words.end(),
                     [&](const char* word) { return member.tokens[0].is_word(word); });
}

// A column's name, a constraint's name, or all that an unnamed constraint says.
std::string key_of(const Member& member) {
  if (!is_constraint(member)) return "column " + member.tokens[0].text;
  if (member.tokens[0].is_word("constraint") && member.tokens.size() > 1)
    return "constraint " + member.tokens[1].text;
  return plain_text(member.text);
}

// All that the files say of one table, type or other thing.
struct Known {
  std::string text;  // of the statement that made it
  // Of a table: key → plain text, of a column without its type; later ADDs included, of which only the type
  // is known.
  std::map<std::string, std::string> members;
  std::map<std::string, std::string> types;  // of its columns, as written
  std::vector<std::string> labels;           // of an enum
};

class Comparison {
 public:
  explicit Comparison(const std::vector<std::string>& made) {
    for (const auto& statement : made) learn(statement);
  }

  Difference run(const Ddl& wanted) {
    for (const auto& statement : wanted.before_load) compare(statement);
    for (const auto& object : wanted.after_load) {
      for (const auto& statement : object.statements) compare(statement);
    }
    for (const auto& statement : wanted.at_end) compare(statement);
    return result();
  }

 private:
  void learn(const std::string& statement) {
    texts_.insert(plain_text(statement));
    learn_comments(statement);
    const Subject subject = subject_of(statement);
    if (subject.kind.empty()) return;
    if (subject.kind == "column" || subject.kind == "constraint") return learn_addition(subject, statement);
    if (subject.kind == "column type") {
      known_[{"table", subject.name, {}}].types["column " + subject.part] = type_of(statement);
      return;
    }
    if (subject.kind == "label") {
      known_[{"type", subject.name, {}}].labels.push_back(subject.part);
      return;
    }
    Known& known = known_[subject];
    known.text = plain_text(statement);
    const auto members = members_of(statement);
    for (const Member& member : members) {
      if (subject.kind == "table") learn_member(known, member);
      if (subject.kind == "type" && member.tokens[0].kind == Token::Kind::text)
        known.labels.push_back(member.tokens[0].text);
    }
  }

  static void learn_member(Known& known, const Member& member) {
    const std::string key = key_of(member);
    if (is_constraint(member)) {
      known.members[key] = plain_text(member.text);
      return;
    }
    const ColumnText column = column_in(member);
    known.members[key] = column.rest;
    known.types[key] = column.type;
  }

  // A statement that stands in a comment was told of already.
  void learn_comments(const std::string& statement) {
    for (const Token& token : native::tokens_of(statement)) {
      if (token.kind == Token::Kind::comment) comments_.push_back(token.text);
    }
  }

  void learn_addition(const Subject& subject, const std::string& statement) {
    Known& table = known_[{"table", subject.name, {}}];
    const std::string key = subject.kind + " " + subject.part;
    table.members[key] = {};
    if (subject.kind == "constraint") known_[subject].text = plain_text(statement);
    if (subject.kind == "column") table.types[key] = column_in(column_of(statement)).type;
  }

  // Settings of the transaction and the signal to PostgREST go with whatever else there is.
  static bool is_frame(const std::string& text) {
    return text.starts_with("\"set\" ") || text.starts_with("\"notify\" ");
  }

  void compare(const std::string& statement) {
    const std::string text = plain_text(statement);
    if (is_frame(text)) return frame_.push_back(statement);
    if (texts_.contains(text)) return;
    const Subject subject = subject_of(statement);
    const auto before = known_.find(subject);
    if (subject.kind.empty() || before == known_.end()) return write(subject, statement);
    if (subject.kind == "table") return compare_table(subject, before->second, statement);
    if (subject.kind == "type" && !before->second.labels.empty())
      return compare_labels(subject, before->second, statement);
    tell(subject, "it is made otherwise now", statement);
  }

  void write(const Subject& subject, const std::string& statement) {
    const bool on_older = subject.kind == "index" && known_.contains({"table", subject.name, {}});
    const bool unique = statement.find("UNIQUE INDEX") != std::string::npos;
    if (!on_older || unique) return rest_.push_back(statement);
    const std::string word = " INDEX ";
    std::string alone = statement;
    alone.insert(alone.find(word) + word.size(), "CONCURRENTLY ");
    alone_.push_back({"DROP INDEX CONCURRENTLY IF EXISTS " + qualified({subject.name.first, subject.part}),
                      std::move(alone)});
  }

  void compare_table(const Subject& table, const Known& before, const std::string& statement) {
    for (const Member& member : members_of(statement)) {
      const auto there = before.members.find(key_of(member));
      if (there == before.members.end())
        add_member(table, member);
      else
        compare_member(table, before, there->second, member);
    }
  }

  void compare_member(const Subject& table, const Known& before, const std::string& there,
                      const Member& member) {
    const std::string key = key_of(member);
    std::string now = plain_text(member.text);
    const auto type = before.types.find(key);
    if (!is_constraint(member)) {
      const ColumnText column = column_in(member);
      now = column.rest;
      if (type != before.types.end() && !same_type(type->second, column.type))
        change_type(table, member.tokens[0].text, type->second, column.type);
    }
    if (!there.empty() && there != now) tell(table, "its " + key + " is another one now", member.text);
  }

  // Written where no row can be in the way; else a comment says what to look at before.
  void change_type(const Subject& table, const std::string& column, const std::string& before,
                   const std::string& now) {
    const std::string name = qualified(table.name), value = tidegate::quoted(column);
    const auto alter = [&](const std::string& type) {
      return fmt::format("ALTER TABLE {} ALTER COLUMN {} TYPE {} USING {}::{}", name, value, type, value,
                         type);
    };
    if (widens(before, now)) {
      rest_.push_back(alter(now));
      reverses_[rest_.back()] = alter(before);
      return;
    }
    tell(table, fmt::format("its column {} was {} and is {} now", column, before, now), alter(now));
    if (is_commented(alter(now))) return;
    rest_.push_back(fmt::format(
        "-- Not carried out: {0} of {1} was {2} and is {3} now, and rows that are there may not fit.\n"
        "-- To do so, see that this counts none, without an error:\n"
        "--   SELECT count(*) FROM {1} WHERE {0}::{3}::text IS DISTINCT FROM {0}::text;\n"
        "-- and carry out\n--   {4};\n-- To take that back:\n--   {5};",
        value, name, before, now, alter(now), alter(before)));
  }

  bool is_commented(const std::string& statement) const {
    return std::any_of(comments_.begin(), comments_.end(), [&](const std::string& comment) {
      return comment.find(statement) != std::string::npos;
    });
  }

  void add_member(const Subject& table, const Member& member) {
    const std::string alter = "ALTER TABLE " + qualified(table.name) + " ADD ";
    if (is_constraint(member)) return rest_.push_back(alter + member.text);
    rest_.push_back(alter + "COLUMN IF NOT EXISTS " + without_not_null(member));
  }

  // Rows that are there have no value yet, unless a default or an expression gives them one.
  static std::string without_not_null(const Member& member) {
    const auto& tokens = member.tokens;
    const auto is = [&](std::size_t i, const char* word) {
      return i < tokens.size() && tokens[i].is_word(word);
    };
    std::size_t at = 0;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (is(i, "default") || is(i, "generated")) return member.text;
      if (is(i, "not") && is(i + 1, "null")) at = i;
    }
    if (at == 0) return member.text;
    std::string text = member.text;
    const std::size_t begin = tokens[at - 1].end;
    return text.erase(begin, tokens[at + 1].end - begin);
  }

  void compare_labels(const Subject& type, const Known& before, const std::string& statement) {
    std::string last;
    for (const Member& member : members_of(statement)) {
      const std::string label = postgres::literal(member.tokens[0].text);
      const auto& labels = before.labels;
      if (std::find(labels.begin(), labels.end(), member.tokens[0].text) == labels.end())
        labels_.push_back("ALTER TYPE " + qualified(type.name) + " ADD VALUE IF NOT EXISTS " + label +
                          (last.empty() ? "" : " AFTER " + last));
      last = label;
    }
  }

  void tell(const Subject& subject, const std::string& what, const std::string& now) {
    const std::string part = subject.part.empty() ? "" : " " + subject.part;
    const std::string name = subject.name.first + "." + subject.name.second;
    found_.push_back(
        {Finding::Level::warn, "migrations-differ", name, "",
         fmt::format("{}{} of {}: {}, and that is not carried out", subject.kind, part, name, what),
         "write a migration of your own; now it is: " + now});
  }

  Difference result() {
    Difference difference;
    if (!labels_.empty()) difference.files.push_back(labels_);
    if (!rest_.empty()) difference.files.push_back(framed());
    for (auto& one : alone_) difference.files.push_back(std::move(one));
    difference.reverses = std::move(reverses_);
    difference.findings = std::move(found_);
    return difference;
  }

  std::vector<std::string> framed() {
    std::vector<std::string> all;
    for (const auto& one : frame_) {
      if (one.starts_with("SET ")) all.push_back(one);
    }
    all.insert(all.end(), rest_.begin(), rest_.end());
    all.emplace_back("NOTIFY pgrst, 'reload schema'");
    return all;
  }

  std::set<std::string> texts_;
  std::map<Subject, Known> known_;
  std::vector<std::string> frame_, labels_, rest_, comments_;
  std::map<std::string, std::string> reverses_;
  std::vector<std::vector<std::string>> alone_;
  std::vector<Finding> found_;
};

bool is_foreign_key(const std::string& statement) {
  return plain_text(statement).find("\"foreign\" \"key\"") != std::string::npos;
}

// The statement makes what its subject names, not a part of it.
bool makes_the_named(const Subject& subject) {
  constexpr std::array parts{"column", "column type", "constraint", "index", "policy", "trigger", "label"};
  return !subject.kind.empty() && std::find(parts.begin(), parts.end(), subject.kind) == parts.end();
}

QualifiedName first_name(const std::string& statement, const Subject& subject) {
  const auto names = native::names_in(statement);
  return names.empty() ? subject.name : names.front();
}

}  // namespace

Difference difference(const std::vector<std::string>& made, const Ddl& wanted) {
  return Comparison(made).run(wanted);
}

std::vector<std::string> undo(const std::vector<std::string>& statements,
                              const std::map<std::string, std::string>& reverses) {
  std::set<QualifiedName> made;
  std::vector<std::string> lines, sequences;  // a table's default holds its sequence, or takes it along
  for (const auto& statement : statements) {
    const Subject subject = subject_of(statement);
    const bool makes = makes_the_named(subject);
    if (!makes && !is_foreign_key(statement) && made.contains(first_name(statement, subject))) continue;
    if (makes) made.insert(subject.name);
    const auto given = reverses.find(statement);
    std::string reverse = given == reverses.end() ? reverse_of(statement) : given->second;
    if (subject.kind == "label") reverse = "-- a label of an enum cannot be dropped: " + subject.part;
    if (subject.kind == "sequence") {
      sequences.push_back("DROP SEQUENCE IF EXISTS " + qualified(subject.name));
    } else if (!reverse.empty()) {
      lines.insert(lines.begin(), std::move(reverse));
    }
  }
  lines.insert(lines.end(), sequences.begin(), sequences.end());
  return lines;
}

}  // namespace tidegate::schema
