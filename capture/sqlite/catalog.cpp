#include "capture/sqlite/catalog.hpp"

#include <algorithm>
#include <map>

#include "capture/sqlite/ddl_reader.hpp"
#include "capture/sqlite/sql_tokens.hpp"
#include "db/error.hpp"

namespace tidegate::capture {
namespace {

using sqlite::Database;
using sqlite::Statement;

struct Listed {
  std::string name;
  std::string type;  // table, view, virtual, shadow
  bool without_rowid = false;
};

bool has_prefix(const Listed& object, std::string_view prefix) {
  return ascii_lower(object.name).rfind(prefix, 0) == 0;
}

bool any_matches(const std::vector<std::string>& patterns, std::string_view name) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return matches_glob(pattern, name); });
}

class Reader {
 public:
  Reader(Database& database, const std::vector<std::string>& include, const std::vector<std::string>& exclude,
         CatalogNotes& notes)
      : database_(database), include_(include), exclude_(exclude), notes_(notes) {}

  std::vector<SourceTable> run() {
    read_facts();
    list();
    std::vector<SourceTable> tables;
    for (const auto& [folded, object] : objects_) {
      if (is_wanted(object)) tables.push_back(read_table(object));
    }
    std::erase_if(tables, [](const SourceTable& table) { return table.columns.empty(); });
    note_triggers();
    note_unmatched_patterns();
    return tables;
  }

 private:
  void note(std::string kind, std::string name, std::string detail = "") {
    notes_.not_carried.push_back({std::move(kind), std::move(name), std::move(detail)});
  }

  void read_facts() {
    DatabaseFacts& facts = notes_.database;
    facts.encoding = database_.text("PRAGMA main.encoding");
    facts.page_size = database_.integer("PRAGMA main.page_size");
    facts.user_version = database_.integer("PRAGMA main.user_version");
    facts.application_id = database_.integer("PRAGMA main.application_id");
    facts.journal_mode = database_.text("PRAGMA main.journal_mode");
  }
  bool is_utf16() const { return notes_.database.encoding != "UTF-8"; }

  void list() {
    Statement listed =
        database_.prepare("SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main'");
    while (listed.step()) {
      Listed object{listed.text(0), listed.text(1), listed.integer(2) != 0};
      const bool of_the_application = !has_prefix(object, "sqlite_") && !has_prefix(object, "_tidegate_");
      if (of_the_application) objects_.emplace(ascii_lower(object.name), object);
    }
  }

  bool is_wanted(const Listed& object) {
    if (object.type != "table") {
      note(object.type == "view" ? "view" : object.type + " table", object.name);
    } else if (has_prefix(object, "_alembic_tmp_")) {
      note("temporary table", object.name);
    } else if ((!include_.empty() && !any_matches(include_, object.name)) ||
               any_matches(exclude_, object.name)) {
      note("excluded table", object.name);
    } else {
      return true;
    }
    return false;
  }

  void note_triggers() {
    Statement triggers = database_.prepare(
        "SELECT name, tbl_name FROM main.sqlite_schema WHERE type = 'trigger' AND name NOT LIKE "
        "'\\_tidegate\\_%' ESCAPE '\\' ORDER BY name");
    while (triggers.step()) note("trigger", triggers.text(0), triggers.text(1));
  }

  void note_unmatched_patterns() {
    for (const auto* patterns : {&include_, &exclude_}) {
      for (const std::string& pattern : *patterns) {
        bool found = std::any_of(objects_.begin(), objects_.end(), [&](const auto& entry) {
          return entry.second.type == "table" && matches_glob(pattern, entry.second.name);
        });
        if (!found) note("unmatched pattern", pattern, patterns == &include_ ? "include" : "exclude");
      }
    }
  }

  // Without columns where it turns out to be no plain table.
  SourceTable read_table(const Listed& object) {
    SourceTable table;
    table.name = object.name;
    table.without_rowid = object.without_rowid;
    table.create_sql = schema_sql("table", object.name);
    TableDdl ddl = read_table_ddl(table.create_sql);
    if (!read_columns(table, ddl)) {
      note("virtual table", table.name);
      table.columns.clear();
      return table;
    }
    read_key(table);
    read_indexes(table);
    read_foreign_keys(table);
    read_sequence(table);
    table.checks = ddl.checks;
    note_definition(table, ddl);
    return table;
  }

  std::string schema_sql(std::string_view type, std::string_view name) {
    Statement found = database_.prepare("SELECT sql FROM main.sqlite_schema WHERE type = ? AND name = ?");
    found.bind_all(type, name);
    return found.step() ? found.text(0) : "";
  }

  Statement pragma(const std::string& name, std::string_view argument, const std::string& order) {
    Statement rows = database_.prepare("SELECT * FROM pragma_" + name + "(?, 'main') ORDER BY " + order);
    rows.bind(1, argument);
    return rows;
  }

  // table_xinfo: cid, name, type, notnull, dflt_value, pk, hidden.
  bool read_columns(SourceTable& table, const TableDdl& ddl) {
    Statement info = pragma("table_xinfo", table.name, "cid");
    while (info.step()) {
      if (info.integer(6) == 1) return false;
      SourceColumn column;
      column.name = info.text(1);
      column.declared_type = info.text(2);
      column.not_null = info.integer(3) != 0;
      if (!info.is_null(4)) column.default_sql = joined(tokenize(info.bytes(4)));
      if (info.integer(6) >= 2) set_generated(column, ddl, info.integer(6) == 3);
      Database::ColumnFacts facts = database_.column_facts(table.name, column.name);
      column.collation = facts.collation;
      table.autoincrement |= facts.autoincrement;
      table.columns.push_back(std::move(column));
    }
    return true;
  }

  static void set_generated(SourceColumn& column, const TableDdl& ddl, bool stored) {
    auto found =
        std::find_if(ddl.generated.begin(), ddl.generated.end(),
                     [&](const GeneratedColumn& generated) { return generated.column == column.name; });
    column.generated_sql = found == ddl.generated.end() ? "" : found->sql;
    column.generated_stored = stored;
  }

  std::vector<std::string> primary_key(std::string_view table) {
    std::vector<std::string> key;
    Statement info = pragma("table_xinfo", table, "pk");
    while (info.step()) {
      if (info.integer(5) > 0) key.push_back(info.text(1));
    }
    return key;
  }

  void read_key(SourceTable& table) {
    table.primary_key = primary_key(table.name);
    // A key that is the rowid needs no index of its own. The type does not tell: INTEGER PRIMARY KEY DESC is
    // an ordinary column, PRIMARY KEY(id DESC) is the rowid.
    table.integer_key = !table.without_rowid && !table.primary_key.empty() && !has_key_index(table);
    if (is_utf16() && table.without_rowid) {
      throw Refused("utf16-without-rowid",
                    "table " + table.name + " is WITHOUT ROWID in a " + notes_.database.encoding +
                        " database, which cannot be captured",
                    "exclude it ([tables] exclude), or convert the database to UTF-8");
    }
    table.identity = has_usable_key(table) ? Identity::key : Identity::rowid;
  }

  bool has_key_index(const SourceTable& table) {
    Statement indexes = pragma("index_list", table.name, "seq");
    while (indexes.step()) {
      if (indexes.text(3) == "pk") return true;
    }
    return false;
  }

  // In UTF-16 two keys may become one when read as UTF-8, and any column but the rowid may hold text.
  bool has_usable_key(const SourceTable& table) const {
    if (table.integer_key || table.without_rowid) return true;
    if (table.primary_key.empty() || is_utf16()) return false;
    return std::all_of(table.primary_key.begin(), table.primary_key.end(),
                       [&](const std::string& name) { return column_of(table, name).not_null; });
  }
  static const SourceColumn& column_of(const SourceTable& table, const std::string& name) {
    return *std::find_if(table.columns.begin(), table.columns.end(),
                         [&](const SourceColumn& column) { return column.name == name; });
  }

  // index_list: seq, name, unique, origin, partial.
  void read_indexes(SourceTable& table) {
    Statement indexes = pragma("index_list", table.name, "name");
    while (indexes.step()) {
      if (indexes.text(3) == "pk") continue;
      SourceIndex index;
      index.name = indexes.text(1);
      index.unique = indexes.integer(2) != 0;
      index.is_constraint = indexes.text(3) == "u";
      index.partial = indexes.integer(4) != 0;
      index.parts = read_parts(table, index.name);
      index.sql = schema_sql("index", index.name);
      table.indexes.push_back(std::move(index));
    }
  }

  // index_xinfo: seqno, cid, name, desc, coll, key. cid is -2 for an expression.
  std::vector<SourceIndexPart> read_parts(const SourceTable& table, std::string_view index) {
    std::vector<SourceIndexPart> parts;
    Statement rows = pragma("index_xinfo", index, "seqno");
    while (rows.step()) {
      if (rows.integer(5) == 0) continue;
      SourceIndexPart part{std::nullopt, rows.text(4), rows.integer(3) != 0};
      if (!rows.is_null(2)) part.column = rows.text(2);
      if (rows.integer(1) == -1 && table.integer_key) part.column = table.primary_key.front();
      parts.push_back(std::move(part));
    }
    return parts;
  }

  // foreign_key_list: id, seq, table, from, to, on_update, on_delete, match. The last declared has id 0.
  void read_foreign_keys(SourceTable& table) {
    Statement rows = pragma("foreign_key_list", table.name, "id DESC, seq");
    bool implicit = false;
    while (rows.step()) {
      if (rows.integer(1) == 0) {
        table.foreign_keys.push_back({{}, rows.text(2), {}, rows.text(6), rows.text(5)});
        implicit = rows.is_null(4);
        resolve_parent(table.foreign_keys.back(), implicit);
      }
      SourceForeignKey& key = table.foreign_keys.back();
      key.columns.push_back(rows.text(3));
      if (!implicit) key.parent_columns.push_back(spelled_as_in(key.parent, rows.text(4)));
    }
  }

  // SQLite ignores case in names, the target does not: the parent is spelled as where it was made.
  void resolve_parent(SourceForeignKey& key, bool implicit) {
    auto parent = objects_.find(ascii_lower(key.parent));
    if (parent == objects_.end() || parent->second.type != "table") return;
    key.parent = parent->second.name;
    if (implicit) key.parent_columns = primary_key(key.parent);
  }

  std::string spelled_as_in(const std::string& table, std::string column) {
    if (!objects_.count(ascii_lower(table))) return column;
    Statement found =
        database_.prepare("SELECT name FROM pragma_table_xinfo(?, 'main') WHERE lower(name) = lower(?)");
    found.bind_all(std::string_view(table), std::string_view(column));
    return found.step() ? found.text(0) : column;
  }

  void read_sequence(SourceTable& table) {
    if (!table.autoincrement) return;
    Statement found = database_.prepare(
        "SELECT seq FROM main.sqlite_sequence WHERE name = ? AND typeof(seq) = 'integer' ORDER BY seq DESC "
        "LIMIT 1");
    found.bind(1, std::string_view(table.name));
    if (found.step()) table.last_sequence = found.integer(0);
  }

  void note_definition(const SourceTable& table, const TableDdl& ddl) {
    if (ddl.has_on_conflict) note("conflict clause", table.name);
    if (ddl.has_deferred_keys) note("deferred foreign key", table.name);
    for (const std::string& part : ddl.not_understood) note("unread definition", table.name, part);
    for (const SourceColumn& column : table.columns) {
      if (column.generated_sql == "")
        note("unread definition", table.name, "the expression of \"" + column.name + "\"");
    }
  }

  Database& database_;
  const std::vector<std::string>& include_;
  const std::vector<std::string>& exclude_;
  CatalogNotes& notes_;
  std::map<std::string, Listed> objects_;  // by folded name
};

}  // namespace

bool matches_glob(std::string_view pattern, std::string_view name) {
  std::string glob = ascii_lower(pattern), text = ascii_lower(name);
  auto next = [&](std::size_t at) {  // the next character's start, in UTF-8
    do ++at;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80);
    return at;
  };
  std::size_t p = 0, t = 0, star = std::string::npos, resume = 0;
  while (t < text.size()) {
    if (p < glob.size() && glob[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < glob.size() && glob[p] == '?') {
      ++p;
      t = next(t);
    } else if (p < glob.size() && glob[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string::npos) {
      p = star + 1;
      t = resume = next(resume);
    } else {
      return false;
    }
  }
  return glob.find_first_not_of('*', p) == std::string::npos;
}

std::vector<SourceTable> read_catalog(Database& database, const std::vector<std::string>& include,
                                      const std::vector<std::string>& exclude, CatalogNotes* notes) {
  CatalogNotes unwanted;
  CatalogNotes& into = notes ? *notes : unwanted;
  into = {};
  return Reader(database, include, exclude, into).run();
}

bool has_rowid_alias(const SourceTable& table) {
  return !table.rowid_name().empty();
}

std::string rowid_alias(const SourceTable& table) {
  std::string alias = table.rowid_name();
  if (!alias.empty()) return alias;
  throw Refused("no-row-identity",
                "table " + table.name +
                    " has no key and columns named rowid, _rowid_ and oid, so its rows cannot be told apart",
                "give it a NOT NULL primary key, or exclude it ([tables] exclude)");
}

}  // namespace tidegate::capture
