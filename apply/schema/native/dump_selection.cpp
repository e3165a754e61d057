#include "apply/schema/native/dump_selection.hpp"

#include <algorithm>

namespace tidegate::native {
namespace {

using Level = Finding::Level;

// What others may need: kept where something that is kept names it.
constexpr std::string_view provider_types[] = {"TYPE",
                                               "SHELL TYPE",
                                               "DOMAIN",
                                               "FUNCTION",
                                               "PROCEDURE",
                                               "AGGREGATE",
                                               "SEQUENCE",
                                               "COLLATION",
                                               "OPERATOR",
                                               "OPERATOR CLASS",
                                               "OPERATOR FAMILY",
                                               "TEXT SEARCH CONFIGURATION",
                                               "TEXT SEARCH DICTIONARY"};
// What belongs to the table that its statement names first.
constexpr std::string_view table_part_types[] = {"DEFAULT", "CONSTRAINT", "CHECK CONSTRAINT", "INDEX"};
// Left out, and named: with their table, and by themselves.
constexpr std::string_view table_extra_types[] = {"TRIGGER", "RULE", "POLICY"};
constexpr std::string_view lone_types[] = {
    "VIEW", "MATERIALIZED VIEW",   "FOREIGN TABLE", "EVENT TRIGGER", "PUBLICATION", "SUBSCRIPTION", "SERVER",
    "CAST", "FOREIGN DATA WRAPPER"};

template <std::size_t n>
bool is_one_of(const std::string& type, const std::string_view (&types)[n]) {
  return std::find(std::begin(types), std::end(types), type) != std::end(types);
}

bool is_function(const DumpEntry& entry) {
  return entry.type == "FUNCTION" || entry.type == "PROCEDURE" || entry.type == "AGGREGATE";
}

// An identity column's sequence is made by ALTER TABLE.
bool is_identity(const DumpEntry& entry) {
  return entry.type == "SEQUENCE" && entry.statements[0].starts_with("ALTER TABLE");
}

// A language that an ordinary role can write in on any target; aggregates have none.
bool is_portable(const DumpEntry& entry) {
  const auto tokens = tokens_of(entry.statements[0]);
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    if (tokens[i].is_word("language")) return tokens[i + 1].text == "sql" || tokens[i + 1].text == "plpgsql";
  }
  return true;
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

class Selector {
 public:
  Selector(const std::vector<DumpEntry>& entries, const std::set<QualifiedName>& left_out,
           const std::vector<SourceExtension>& extensions)
      : entries_(entries), left_out_(left_out) {
    selection_.kept.resize(entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i) list(i);
    for (const SourceExtension& extension : extensions) {
      for (const std::string& member : extension.members)
        members_[{extension.schema, member}] = extension.name;
    }
  }

  Selection run(const std::set<QualifiedName>& chosen) {
    for (const QualifiedName& table : chosen) choose(table);
    while (add_partitions()) {
    }
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (is_of_kept_table(entries_[i])) keep(i);
    }
    follow_needs();
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (!selection_.kept[i]) tell(entries_[i]);
    }
    return std::move(selection_);
  }

 private:
  void list(std::size_t i) {
    const DumpEntry& entry = entries_[i];
    if (entry.type == "TABLE") tables_[entry.subject] = i;
    if (!is_one_of(entry.type, provider_types)) return;
    if (!is_identity(entry)) providers_[entry.subject].push_back(i);
    if (entry.statements[0].find("multirange_type_name") == std::string::npos) return;
    const auto names = names_in(entry.statements[0]);
    for (const QualifiedName& name : names) providers_[name].push_back(i);
  }

  void find(Level level, const char* code, const std::string& table, std::string message, std::string mend) {
    selection_.findings.push_back({level, code, table, "", std::move(message), std::move(mend)});
  }

  void keep(std::size_t i) {
    if (selection_.kept[i]) return;
    selection_.kept[i] = true;
    fresh_.push_back(i);
  }
  bool is_made(const QualifiedName& table) const { return selection_.roots.contains(table); }

  void choose(const QualifiedName& table) {
    const auto found = tables_.find(table);
    if (found == tables_.end()) {
      selection_.findings.push_back({Level::block, "table-not-dumped", joined(table), "",
                                     "pg_dump says nothing of table " + joined(table),
                                     "see whether the source's role may read it"});
      return;
    }
    selection_.roots[table] = table;
    keep(found->second);
  }

  // Partitions of what is made, one level for each call.
  bool add_partitions() {
    bool added = false;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (entries_[i].type != "TABLE ATTACH" || selection_.kept[i]) continue;
      const auto parent = selection_.roots.find(entries_[i].subject);
      const auto names = names_in(entries_[i].statements[0]);
      if (parent == selection_.roots.end() || names.size() < 2) continue;
      keep(i);
      added = true;
      const auto child = tables_.find(names[1]);
      if (child == tables_.end()) continue;
      selection_.roots[names[1]] = parent->second;
      keep(child->second);
    }
    return added;
  }

  bool is_of_kept_table(const DumpEntry& entry) {
    if (entry.type == "STATISTICS") return is_made(statistics_table(entry));
    if (entry.type == "ROW SECURITY") return is_made(entry.subject);
    if (entry.type == "FK CONSTRAINT") return is_made(entry.subject) && is_made(referenced_table(entry));
    if (entry.type == "INDEX ATTACH") return true;  // settled when the indexes are known
    if (entry.type == "SEQUENCE OWNED BY") {
      const auto names = names_in(entry.statements[0]);
      return names.size() > 1 && is_made(names[1]);
    }
    return (is_identity(entry) || is_one_of(entry.type, table_part_types)) && is_made(entry.subject);
  }

  void follow_needs() {
    while (!fresh_.empty()) {
      const std::size_t i = fresh_.back();
      fresh_.pop_back();
      for (const std::string& statement : entries_[i].statements) {
        for (const QualifiedName& name : names_in(statement, is_function(entries_[i])))
          need(entries_[i], name);
      }
    }
  }

  void need(const DumpEntry& by, const QualifiedName& name) {
    if (const auto member = members_.find(name); member != members_.end())
      selection_.extensions.insert(member->second);
    if (const auto found = providers_.find(name); found != providers_.end()) {
      for (const std::size_t i : found->second) need_provider(by, i);
    }
    const bool is_table_left_out = (left_out_.contains(name) || tables_.contains(name)) && !is_made(name);
    if (is_table_left_out && !is_function(by) && by.type != "INDEX ATTACH" && told_.insert(name).second) {
      find(Level::block, "needs-left-out-table", joined(name),
           lower(by.type) + " " + joined(by.subject) + " needs table " + joined(name) +
               ", which is not replicated",
           "replicate it too ([tables] include)");
    }
  }

  void need_provider(const DumpEntry& by, std::size_t i) {
    const DumpEntry& entry = entries_[i];
    if (!is_function(entry) || is_portable(entry)) {
      keep(i);
      for (std::size_t k = 0; k < entries_.size(); ++k) {  // a domain's CHECK that was added NOT VALID
        if (entries_[k].type == "CHECK CONSTRAINT" && entries_[k].subject == entry.subject) keep(k);
      }
    } else if (told_.insert(entry.subject).second) {
      find(Level::block, "function-not-carried", "",
           lower(by.type) + " " + joined(by.subject) + " needs function " + entry.schema + "." + entry.name +
               ", which is not written in SQL or PL/pgSQL",
           "make a function of that name and signature on the target first");
    }
  }

  // A fenced source has tidegate's account and triggers. pg_dump names a trigger as "TABLE TRIGGER".
  static bool is_ours(const DumpEntry& entry) {
    return entry.schema == "tidegate" ||
           (entry.type == "TRIGGER" && entry.name.find(" _tidegate_fence") != std::string::npos);
  }

  // What is left out by choice of tables is not told.
  void tell(const DumpEntry& entry) {
    if (is_ours(entry)) return;
    if (entry.type == "FK CONSTRAINT" && is_made(entry.subject)) {
      find(Level::warn, "foreign-key-not-carried", joined(selection_.roots.at(entry.subject)),
           "foreign key " + entry.name + " refers to " + joined(referenced_table(entry)) +
               ", which is not replicated, and is left out",
           "replicate that table too ([tables] include)");
    } else if (is_one_of(entry.type, table_extra_types) && is_made(entry.subject)) {
      tell_not_carried(Level::warn, entry, joined(selection_.roots.at(entry.subject)));
    } else if (is_left_behind(entry)) {
      tell_not_carried(Level::note, entry, "");
    }
  }

  // An object of no table that is not made on the target.
  bool is_left_behind(const DumpEntry& entry) const {
    if (is_one_of(entry.type, lone_types)) return !entry.name.starts_with("tidegate");
    if (is_one_of(entry.type, provider_types))
      return !is_identity(entry) && !told_.contains(entry.subject) && !is_owned(entry);
    return entry.type == "EXTENSION" && !selection_.extensions.contains(entry.name);
  }

  void tell_not_carried(Level level, const DumpEntry& entry, const std::string& table) {
    const std::string schema = entry.schema.empty() ? "" : entry.schema + ".";
    const std::string shown = is_one_of(entry.type, table_extra_types) ? " on table " : " ";
    find(level, "not-carried", table,
         lower(entry.type) + shown + schema + entry.name + " is not carried over",
         "make its counterpart in the target's own migrations, if it is needed there");
  }

  // A sequence that belongs to a table which is left out.
  bool is_owned(const DumpEntry& entry) const {
    return entry.type == "SEQUENCE" &&
           std::any_of(entries_.begin(), entries_.end(), [&](const DumpEntry& other) {
             return other.type == "SEQUENCE OWNED BY" && other.subject == entry.subject;
           });
  }

  const std::vector<DumpEntry>& entries_;
  const std::set<QualifiedName>& left_out_;
  Selection selection_;
  std::map<QualifiedName, std::size_t> tables_;
  std::map<QualifiedName, std::vector<std::size_t>>
      providers_;                                 // functions of one name, and their arguments'
  std::map<QualifiedName, std::string> members_;  // of extensions
  std::vector<std::size_t> fresh_;                // kept, needs not yet followed
  std::set<QualifiedName> told_;
};

}  // namespace

QualifiedName split(const std::string& source) {
  const auto dot = source.find('.');
  return {source.substr(0, dot), source.substr(dot + 1)};
}

std::string joined(const QualifiedName& name) {
  return name.first + "." + name.second;
}

Selection select(const std::vector<DumpEntry>& entries, const std::set<QualifiedName>& chosen,
                 const std::set<QualifiedName>& left_out, const std::vector<SourceExtension>& extensions) {
  return Selector(entries, left_out, extensions).run(chosen);
}

QualifiedName statistics_table(const DumpEntry& entry) {
  const auto names = names_in(entry.statements[0]);
  return names.empty() ? QualifiedName{} : names.back();
}

QualifiedName referenced_table(const DumpEntry& entry) {
  const auto names = names_in(entry.statements[0]);
  return names.size() < 2 ? QualifiedName{} : names[1];
}

}  // namespace tidegate::native
