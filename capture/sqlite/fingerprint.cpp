
#include "capture/sqlite/catalog.hpp"
#include "capture/sqlite/sql_tokens.hpp"
#include "db/digest.hpp"
#include "db/error.hpp"

namespace tidegate::capture {
namespace {

// Fields one after another, each text with its length before it and each list with its count, so that no two
// tables give the same bytes.
class Canonical {
 public:
  void add(std::string_view text) { bytes_ += std::to_string(text.size()) + ':' + std::string(text); }
  void add(bool value) { bytes_ += value ? '1' : '0'; }
  void add(const std::optional<std::string>& text) {
    add(text.has_value());
    if (text) add(std::string_view(*text));
  }
  void add(const std::string& text) { add(std::string_view(text)); }
  template <typename Item>
  void add(const std::vector<Item>& items) {
    bytes_ += std::to_string(items.size()) + '[';
    for (const Item& item : items) add(item);
  }
  void add(const SourceColumn& c) {
    add_all(c.name, c.declared_type, c.not_null, c.default_sql, c.collation, c.generated_sql,
            c.generated_stored);
  }
  void add(const SourceIndexPart& p) { add_all(p.column, p.collation, p.descending); }
  void add(const SourceIndex& i) {
    add_all(i.name, i.unique, i.is_constraint, i.partial, i.parts);
    add_sql(i.sql);
  }
  void add(const SourceForeignKey& k) {
    add_all(k.columns, k.parent, k.parent_columns, k.on_delete, k.on_update);
  }
  void add(const SourceCheck& c) { add_all(c.name, c.sql); }
  void add(const SourceTable& t) {
    add_all(t.name, t.columns, t.primary_key, t.identity == Identity::key, t.integer_key, t.autoincrement,
            t.without_rowid, t.indexes, t.foreign_keys, t.checks);
    add_sql(t.create_sql);
  }
  // Also what no field holds: STRICT, ON CONFLICT, DEFERRABLE.
  void add_sql(std::string_view sql) {
    for (const Token& token : tokenize(sql)) add(token.text);
    bytes_ += ';';
  }
  const std::string& bytes() const { return bytes_; }

 private:
  template <typename... Fields>
  void add_all(const Fields&... fields) {
    (add(fields), ...);
  }
  std::string bytes_;
};

}  // namespace

std::string fingerprint(const SourceTable& table) {
  Canonical canonical;
  canonical.add(table);
  return hex_sha256(canonical.bytes());
}

}  // namespace tidegate::capture
