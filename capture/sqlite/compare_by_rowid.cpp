#include "capture/sqlite/row_cursor.hpp"

namespace tidegate {
namespace {

// A row of the shadow by its key, which is unique there.
class ByKey {
 public:
  ByKey(const ShadowTable& table, sqlite::Database& database, const std::string& sql)
      : relation_(table.relation()), statement_(database.prepare(sql)) {}

  // Null: there is none. Valid until the next call.
  sqlite::Statement* find(const Row& row) {
    statement_.reset();
    int parameter = 0;
    for (auto place : relation_.key) statement_.bind(++parameter, row[place]);
    return statement_.step() ? &statement_ : nullptr;
  }
  void reset() { statement_.reset(); }

 private:
  const Relation& relation_;
  sqlite::Statement statement_;
};

// Twice through both sides in the order of the rowids. Rows with the same rowid and key meet. First each
// other live row is looked for by its key: it came from another rowid, or it is new. Then each other row of
// the shadow that still has the rowid where it is no more was removed. So nothing has to be kept in memory,
// and a row has its new rowid before its old one is looked at.
class CompareByRowid {
 public:
  CompareByRowid(const ShadowTable& table, sqlite::Database& live, sqlite::Database& shadow,
                 sqlite::Database& written, Differences& differences)
      : table_(table),
        live_(table, live, table.select_live(ShadowTable::Rows::in_rowid_range)),
        shadow_(table, shadow, table.select_shadow(ShadowTable::Rows::in_rowid_range)),
        before_(table, shadow, table.select_shadow_row()),
        now_(table, written, table.select_shadow_rowid()),
        differences_(differences) {}

  CompareCounts run(const std::vector<RowidRange>& ranges) {
    for (const RowidRange& range : ranges) arrive(range);
    if (!any_gone_) return counts_;
    for (const RowidRange& range : ranges) leave(range);
    return counts_;
  }

 private:
  void arrive(const RowidRange& range) {
    walk(
        range, [this] { report_pair(table_.relation(), live_.row(), shadow_.row(), differences_); },
        [this] { place(live_.row()); }, [this] { any_gone_ = true; }, &counts_.live_rows);
  }
  void leave(const RowidRange& range) {
    walk(
        range, [] {}, [] {}, [this] { remove_unless_moved(shadow_.row()); }, nullptr);
  }

  template <typename Both, typename Live, typename Gone>
  void walk(const RowidRange& range, Both both, Live only_live, Gone only_shadow, std::uint64_t* live_rows) {
    live_.begin(range);
    shadow_.begin(range);
    while (!live_.at_end() || !shadow_.at_end()) {
      bool live = is_next(live_, shadow_), shadow = is_next(shadow_, live_);
      if (live && shadow && same_key()) {
        both();
      } else {
        if (live) only_live();
        if (shadow) only_shadow();
      }
      if (live && live_rows) ++*live_rows;
      if (live) live_.next();
      if (shadow) shadow_.next();
    }
  }

  static bool is_next(const RowCursor& one, const RowCursor& other) {
    return !one.at_end() && (other.at_end() || one.row().rowid <= other.row().rowid);
  }
  bool same_key() const {
    return key_order(table_.relation(), live_.row().row, shadow_.row().row) == std::weak_ordering::equivalent;
  }

  void place(const PlacedRow& live) {
    auto* found = before_.find(live.row);
    if (!found) return differences_.inserted(live);
    table_.read(*found, elsewhere_);
    report_pair(table_.relation(), live, elsewhere_, differences_);
  }

  void remove_unless_moved(const PlacedRow& gone) {
    auto* now = now_.find(gone.row);
    bool is_there = now && now->integer(0) == gone.rowid;
    now_.reset();
    if (is_there) differences_.removed(gone);
  }

  const ShadowTable& table_;
  RowCursor live_, shadow_;
  ByKey before_, now_;
  Differences& differences_;
  CompareCounts counts_;
  PlacedRow elsewhere_;
  bool any_gone_ = false;
};

}  // namespace

CompareCounts compare_by_rowid(const ShadowTable& table, sqlite::Database& live, sqlite::Database& shadow,
                               sqlite::Database& written, const std::vector<RowidRange>& ranges,
                               Differences& differences) {
  return CompareByRowid(table, live, shadow, written, differences).run(ranges);
}

}  // namespace tidegate
