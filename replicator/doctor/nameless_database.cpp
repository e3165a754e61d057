#include "replicator/doctor/nameless_database.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "db/error.hpp"

namespace tidegate {

sqlite::Database nameless_database(const std::string& schema) {
  std::string path = (std::filesystem::temp_directory_path() / "tidegate-XXXXXX").string();
  const int file = mkstemp(path.data());
  if (file < 0) throw Error("create a temporary file at " + path, "", Advice::stop);
  close(file);
  sqlite::Database database(path, sqlite::Database::Mode::read_write, std::chrono::milliseconds(0));
  database.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; " +
                   schema);
  unlink(path.c_str());
  return database;
}

}  // namespace tidegate
