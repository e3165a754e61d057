// SQLite's session API is only declared when these are set before its header.
#define SQLITE_ENABLE_SESSION 1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#include <sqlite3.h>

#include <utility>

#include "db/sqlite.hpp"
#include "db/sqlite_error.hpp"
#include "db/sqlite_value.hpp"

namespace tidegate::sqlite {

void Session::Delete::operator()(sqlite3_session* session) const {
  sqlite3session_delete(session);
}

Session::Session(Database& database) : database_(&database) {
  sqlite3_session* session = nullptr;
  if (int code = sqlite3session_create(database.handle(), "main", &session)) {
    fail(code, "record a session on", database.path(), database.handle());
  }
  session_.reset(session);
}

void Session::attach(const std::string& table) {
  if (int code = sqlite3session_attach(session_.get(), table.c_str())) {
    fail(code, "attach a session on", database_->path(), database_->handle());
  }
}

bool Session::empty() const {
  return sqlite3session_isempty(session_.get()) != 0;
}
std::int64_t Session::memory_used() const {
  return sqlite3session_memory_used(session_.get());
}

namespace {

// Finalizing also reports an error that ended the iteration early, so it is called by name, once, on the good
// path.
class ChangesetIterator {
 public:
  ChangesetIterator(int size, void* bytes) {
    if (int code = sqlite3changeset_start(&iterator_, size, bytes)) fail(code, "read", "changeset", nullptr);
  }
  ~ChangesetIterator() {
    if (iterator_) sqlite3changeset_finalize(iterator_);
  }
  ChangesetIterator(const ChangesetIterator&) = delete;
  ChangesetIterator& operator=(const ChangesetIterator&) = delete;

  bool next() { return sqlite3changeset_next(iterator_) == SQLITE_ROW; }
  void finish() {
    int code = sqlite3changeset_finalize(std::exchange(iterator_, nullptr));
    if (code != SQLITE_OK) fail(code, "read", "changeset", nullptr);
  }

  SessionChange change() const {
    const char* table = nullptr;
    int columns = 0, operation = 0, indirect = 0;
    unsigned char* key = nullptr;
    sqlite3changeset_op(iterator_, &table, &columns, &operation, &indirect);
    sqlite3changeset_pk(iterator_, &key, nullptr);
    SessionChange out{kind_of(operation), table, {}, {}, {}};
    for (int i = 0; i < columns; ++i) {
      out.key.push_back(key[i] != 0);
      if (operation != SQLITE_INSERT) out.before.push_back(value(sqlite3changeset_old, i));
      if (operation != SQLITE_DELETE) out.after.push_back(value(sqlite3changeset_new, i));
    }
    return out;
  }

 private:
  static SessionChange::Kind kind_of(int operation) {
    if (operation == SQLITE_INSERT) return SessionChange::Kind::insert;
    return operation == SQLITE_DELETE ? SessionChange::Kind::remove : SessionChange::Kind::update;
  }

  template <typename Getter>
  std::optional<Value> value(Getter getter, int column) const {
    sqlite3_value* found = nullptr;
    if (int code = getter(iterator_, column, &found)) fail(code, "read", "changeset", nullptr);
    if (!found) return std::nullopt;
    return to_value(found);
  }

  sqlite3_changeset_iter* iterator_ = nullptr;
};

}  // namespace

void Session::read(const std::function<void(const SessionChange&)>& receive) const {
  int size = 0;
  void* bytes = nullptr;
  if (int code = sqlite3session_changeset(session_.get(), &size, &bytes)) {
    fail(code, "take the changeset of", database_->path(), database_->handle());
  }
  std::unique_ptr<void, void (*)(void*)> owner(bytes, sqlite3_free);
  ChangesetIterator iterator(size, bytes);
  while (iterator.next()) receive(iterator.change());
  iterator.finish();
}

}  // namespace tidegate::sqlite
