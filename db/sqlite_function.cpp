#include <sqlite3.h>

#include <utility>

#include "db/sqlite.hpp"
#include "db/sqlite_error.hpp"
#include "db/sqlite_value.hpp"

namespace tidegate::sqlite {
namespace {

// One function of a connection, and room for its arguments that is used again for each call.
struct Callable {
  Function function;
  Row arguments;
};

void take_arguments(int count, sqlite3_value** values, Row& into) {
  into.resize(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    Value& slot = into[static_cast<std::size_t>(i)];
    auto* reused = std::get_if<std::string>(&slot);
    if (reused && sqlite3_value_type(values[i]) == SQLITE_TEXT)
      reused->assign(text_of(values[i]));
    else
      slot = to_value(values[i]);
  }
}

void give_result(sqlite3_context* context, const Value& value) {
  if (auto* integer = std::get_if<std::int64_t>(&value)) return sqlite3_result_int64(context, *integer);
  if (auto* real = std::get_if<double>(&value)) return sqlite3_result_double(context, *real);
  if (auto* text = std::get_if<std::string>(&value))
    return sqlite3_result_text64(context, text->data(), text->size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  if (auto* blob = std::get_if<Blob>(&value))
    return sqlite3_result_blob64(context, blob->bytes.data(), blob->bytes.size(), SQLITE_TRANSIENT);
  sqlite3_result_null(context);
}

// Called by C code, which no exception may cross.
void call(sqlite3_context* context, int count, sqlite3_value** values) noexcept {
  try {
    auto& callable = *static_cast<Callable*>(sqlite3_user_data(context));
    take_arguments(count, values, callable.arguments);
    give_result(context, callable.function(callable.arguments));
  } catch (const std::bad_alloc&) {
    sqlite3_result_error_nomem(context);
  } catch (const std::exception& failure) {
    sqlite3_result_error(context, failure.what(), -1);
  }
}

}  // namespace

void Database::create_function(const std::string& name, int arguments, Function function) {
  constexpr int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
  auto callable = std::make_unique<Callable>(std::move(function), Row{});
  // SQLite calls the destructor where it fails, too.
  int code = sqlite3_create_function_v2(
      handle(), name.c_str(), arguments, flags, callable.release(),
      [](sqlite3_context* context, int count, sqlite3_value** values) { call(context, count, values); },
      nullptr, nullptr, [](void* held) { delete static_cast<Callable*>(held); });
  if (code != SQLITE_OK) fail(code, "make function " + name + " on", path_, handle());
}

}  // namespace tidegate::sqlite
