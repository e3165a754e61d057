#include "apply/schema/native/dump_filter.hpp"

#include <algorithm>
#include <set>

#include "apply/schema/ddl_parts.hpp"
#include "apply/schema/native/dump_entries.hpp"
#include "apply/schema/native/dump_selection.hpp"
#include "apply/schema/native/spelling.hpp"

namespace tidegate {
namespace {

using native::DumpEntry;
using native::QualifiedName;
using native::Selection;
using native::Token;
using Kind = DdlObject::Kind;

constexpr const char* extensions_schema = "extensions";  // as on Supabase

// Where an object stands among those that are built after the load.
enum Rank { key, key_attach, unique, unique_attach, index, index_attach, statistics, check, foreign_key };

struct Built {
  Rank rank;
  DdlObject object;
};

std::string on(const QualifiedName& name) {
  return quoted(name.first) + "." + quoted(name.second);
}

// The word after `before`: a constraint's or an index's name.
std::string name_after(const std::vector<Token>& tokens, std::string_view before) {
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    if (tokens[i].is_word(before)) return tokens[i + 1].text;
  }
  return {};
}

bool has_word(const std::vector<Token>& tokens, std::string_view word) {
  return std::any_of(tokens.begin(), tokens.end(), [&](const Token& token) { return token.is_word(word); });
}

Kind kind_of(Rank rank) {
  if (rank <= key_attach) return Kind::primary_key;
  if (rank <= unique_attach) return Kind::unique;
  if (rank <= statistics) return Kind::index;
  return rank == check ? Kind::check : Kind::foreign_key;
}

class Filter {
 public:
  Filter(std::vector<DumpEntry> entries, const DumpChoice& choice)
      : entries_(std::move(entries)), choice_(choice) {}

  NativeSchema run() {
    std::set<QualifiedName> chosen, left_out;
    for (const SourceTable& table : choice_.tables) {
      chosen.insert(native::split(table.name));
      note_varchars(table);
    }
    for (const std::string& table : choice_.left_out) left_out.insert(native::split(table));
    selection_ = native::select(entries_, chosen, left_out, choice_.extensions);
    result_.ddl.findings = selection_.findings;
    result_.extensions = selection_.extensions;
    place_extensions();
    add_schemas();
    add_extensions();
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (selection_.kept[i]) add(entries_[i]);
    }
    for (const DumpEntry& entry : entries_) {
      if (entry.type == "COMMENT") add_comment(entry);
    }
    for (const DumpEntry& entry : entries_) add_access(entry);
    finish();
    return std::move(result_);
  }

 private:
  std::string moved(const std::string& statement) const {
    return native::with_moved(statement, result_.moved);
  }
  // As the target is to read it, where it is about a table's columns or a domain's value.
  std::string adapted(const DumpEntry& entry, const std::string& statement) const {
    const auto root = selection_.roots.find(entry.subject);
    const auto found = varchars_.find(root == selection_.roots.end() ? QualifiedName{} : root->second);
    const bool of_varchar =
        entry.type == "DOMAIN" && statement.find(" AS character varying") != statement.npos;
    const std::set<std::string> value = {"value"};
    if (of_varchar) return native::with_short_lists(moved(statement), value);
    return found == varchars_.end() ? moved(statement)
                                    : native::with_short_lists(moved(statement), found->second);
  }
  void note_varchars(const SourceTable& table) {
    for (const SourceColumn& column : table.columns) {
      const bool is_array = column.declared_type.ends_with("]");
      if (column.declared_type.starts_with("character varying") && !is_array)
        varchars_[native::split(table.name)].insert(column.name);
    }
  }
  void before(std::string statement) { result_.ddl.before_load.push_back(std::move(statement)); }

  bool is_made(const QualifiedName& table) const { return selection_.roots.contains(table); }
  bool is_kept(const QualifiedName& subject, std::string_view type) const {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (selection_.kept[i] && entries_[i].subject == subject && entries_[i].type == type) return true;
    }
    return false;
  }

  // Of an extension: what is there stays; what lies in `public` goes where Supabase wants extensions; others
  // may be bound to the schema that they have.
  std::string target_schema(const SourceExtension& extension) const {
    const auto installed = choice_.target_extensions.find(extension.name);
    if (installed != choice_.target_extensions.end()) return installed->second;
    return extension.schema == "public" ? extensions_schema : extension.schema;
  }

  // A name that the application took as well stays as it is.
  void place_extensions() {
    std::set<QualifiedName> taken;
    for (const DumpEntry& entry : entries_) {
      if (entry.type != "COMMENT") taken.insert(entry.subject);
    }
    for (const SourceExtension& extension : choice_.extensions) {
      const std::string to = target_schema(extension);
      if (to == extension.schema) continue;
      for (const std::string& member : extension.members) {
        if (!is_taken_by_provider(taken, {extension.schema, member}))
          result_.moved[{extension.schema, member}] = to;
      }
    }
  }
  static bool is_taken_by_provider(const std::set<QualifiedName>& taken, const QualifiedName& name) {
    return taken.contains(name) &&
           name.second.find_first_of("abcdefghijklmnopqrstuvwxyz_") != std::string::npos;
  }

  void add_schemas() {
    std::set<std::string> needed;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (selection_.kept[i] && entries_[i].type != "INDEX ATTACH") needed.insert(entries_[i].schema);
    }
    for (const DumpEntry& entry : entries_) {
      if (entry.type != "SCHEMA" || entry.name == "public" || !needed.contains(entry.name)) continue;
      made_schemas_.insert(entry.name);
      before("CREATE SCHEMA IF NOT EXISTS " + quoted(entry.name));
      for (const Grant& grant : choice_.options.grants)
        before("GRANT USAGE ON SCHEMA " + quoted(entry.name) + " TO " + quoted(grant.role));
    }
  }

  void add_extensions() {
    for (const SourceExtension& extension : choice_.extensions) {
      const bool is_there = choice_.target_extensions.contains(extension.name);
      if (!selection_.extensions.contains(extension.name) || is_there) continue;
      const std::string schema = quoted(target_schema(extension));
      if (target_schema(extension) != "pg_catalog") before("CREATE SCHEMA IF NOT EXISTS " + schema);
      before("CREATE EXTENSION IF NOT EXISTS " + quoted(extension.name) + " WITH SCHEMA " + schema);
    }
  }

  void add(const DumpEntry& entry) {
    if (entry.type == "CONSTRAINT") return add_constraint(entry);
    if (entry.type == "CHECK CONSTRAINT") return add_check(entry);
    if (entry.type == "FK CONSTRAINT") return add_foreign_key(entry);
    if (entry.type == "INDEX") return add_index(entry);
    if (entry.type == "INDEX ATTACH") return add_attach(entry);
    if (entry.type == "STATISTICS")
      return build(statistics, native::statistics_table(entry), entry.subject.second, entry);
    const bool ours = entry.type == "ROW SECURITY" && choice_.options.enable_rls;
    if (ours || entry.type == "EXTENSION") return;
    for (const std::string& statement : entry.statements) before(adapted(entry, statement));
  }

  // Partitions count to their root, under names that tell them apart.
  void build(Rank rank, const QualifiedName& table, const std::string& name, const DumpEntry& entry) {
    const QualifiedName& root = selection_.roots.at(table);
    DdlObject object;
    object.kind = kind_of(rank);
    object.table = native::joined(root);
    object.name = root == table ? name : table.first + "." + name;
    for (const std::string& statement : entry.statements)
      object.statements.push_back(adapted(entry, statement));
    places_[{table.first, name}] = built_.size();
    constraints_[{native::joined(table), name}] = built_.size();
    built_.push_back({rank, std::move(object)});
  }

  void add_constraint(const DumpEntry& entry) {
    const auto tokens = native::tokens_of(entry.statements[0]);
    build(has_word(tokens, "primary") ? key : unique, entry.subject, name_after(tokens, "constraint"), entry);
  }

  void add_check(const DumpEntry& entry) {
    if (!is_made(entry.subject)) return before(moved(entry.statements[0]));  // a domain's
    build(check, entry.subject, name_after(native::tokens_of(entry.statements[0]), "constraint"), entry);
  }

  // Added NOT VALID it waits for no reader of the table; partitioned tables cannot have that.
  void add_foreign_key(const DumpEntry& entry) {
    const auto tokens = native::tokens_of(entry.statements[0]);
    const std::string name = name_after(tokens, "constraint");
    build(foreign_key, entry.subject, name, entry);
    const bool is_partitioned = !has_word(tokens, "only");
    if (is_partitioned || has_word(tokens, "valid")) return;
    auto& statements = built_.back().object.statements;
    statements[0] += " NOT VALID";
    statements.insert(statements.begin() + 1,
                      "ALTER TABLE " + on(entry.subject) + " VALIDATE CONSTRAINT " + quoted(name));
  }

  void add_index(const DumpEntry& entry) {
    const auto tokens = native::tokens_of(entry.statements[0]);
    build(has_word(tokens, "unique") ? unique : index, entry.subject, name_after(tokens, "index"), entry);
  }

  void add_attach(const DumpEntry& entry) {
    const auto names = native::names_in(entry.statements[0]);
    const auto parent = places_.find(entry.subject);
    if (parent == places_.end() || names.size() < 2) return;
    const Built& of = built_[parent->second];
    DdlObject object = of.object;
    object.name = of.object.name + "/" + native::joined(names[1]);
    object.statements = {entry.statements[0]};
    built_.push_back({static_cast<Rank>(of.rank + 1), std::move(object)});
  }

  void add_comment(const DumpEntry& entry) {
    const auto tokens = native::tokens_of(entry.statements[0]);
    const std::string on_what = name_after(tokens, "on");
    const std::string statement = moved(entry.statements[0]);
    const auto follow = [&](const auto& places, const auto& name) {
      const auto place = places.find(name);
      if (place != places.end()) built_[place->second].object.statements.push_back(statement);
      return place != places.end();
    };
    if (on_what == "index") {
      follow(places_, entry.subject);
    } else if (on_what == "constraint" && is_made(entry.subject)) {
      const std::pair name{native::joined(entry.subject), name_after(tokens, "constraint")};
      if (!follow(constraints_, name)) before(statement);
    } else if (is_commented_before(on_what, entry)) {
      before(statement);
    }
  }

  bool is_commented_before(const std::string& on_what, const DumpEntry& entry) const {
    if (on_what == "table" || on_what == "column")
      return is_made(entry.subject) || is_kept(entry.subject, "TYPE");
    if (on_what == "schema") return made_schemas_.contains(entry.name.substr(entry.name.find(' ') + 1));
    for (const char* type :
         {"TYPE", "DOMAIN", "FUNCTION", "SEQUENCE", "COLLATION", "AGGREGATE", "PROCEDURE"}) {
      std::string upper = on_what;
      for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      if (upper == type) return is_kept(entry.subject, type);
    }
    return on_what == "constraint" && is_kept(entry.subject, "DOMAIN");
  }

  void add_access(const DumpEntry& entry) {
    if (entry.type == "TABLE" && is_made(entry.subject)) {
      TablePlan plan;
      plan.schema = entry.subject.first;
      plan.target = entry.subject.second;
      for (std::string& statement : ddl::access_statements(plan, choice_.options))
        before(std::move(statement));
    }
    const bool sequence = entry.type == "SEQUENCE" && entry.statements[0].starts_with("CREATE");
    if (sequence && is_kept(entry.subject, "SEQUENCE")) add_sequence_access(on(entry.subject));
  }

  // Who may insert draws from the sequence of a default.
  void add_sequence_access(const std::string& sequence) {
    for (const std::string& role : choice_.options.revoke_from)
      before("REVOKE ALL ON SEQUENCE " + sequence + " FROM " + quoted(role));
    for (const Grant& grant : choice_.options.grants) {
      const bool inserts =
          std::find(grant.privileges.begin(), grant.privileges.end(), "INSERT") != grant.privileges.end();
      if (inserts) before("GRANT USAGE ON SEQUENCE " + sequence + " TO " + quoted(grant.role));
    }
  }

  void finish() {
    std::stable_sort(built_.begin(), built_.end(),
                     [](const Built& a, const Built& b) { return a.rank < b.rank; });
    for (Built& one : built_) result_.ddl.after_load.push_back(std::move(one.object));
    auto& first = result_.ddl.before_load;
    first.insert(first.begin(), "SET LOCAL check_function_bodies = false");
    result_.at_end = {"NOTIFY pgrst, 'reload schema'"};
  }

  std::vector<DumpEntry> entries_;
  const DumpChoice& choice_;
  Selection selection_;
  std::map<QualifiedName, std::set<std::string>> varchars_;  // columns of each chosen table
  NativeSchema result_;
  std::set<std::string> made_schemas_;
  std::vector<Built> built_;
  std::map<QualifiedName, std::size_t> places_;                             // indexes, by schema and name
  std::map<std::pair<std::string, std::string>, std::size_t> constraints_;  // by table and name
};

}  // namespace

NativeSchema filter_dump(std::string_view dump, const DumpChoice& choice) {
  ddl::validate_privileges(choice.options);
  return Filter(native::entries_of(dump), choice).run();
}

}  // namespace tidegate
