// The file under a connection: its pages, and the WAL's index.
#include <sqlite3.h>

#include <atomic>
#include <cstring>

#include "db/sqlite.hpp"
#include "db/sqlite_error.hpp"

namespace tidegate::sqlite {
namespace {

sqlite3_file* open_file(Database& database) {
  sqlite3_file* file = nullptr;
  int code = sqlite3_file_control(database.handle(), "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (code == SQLITE_OK && (!file || !file->pMethods)) code = SQLITE_CANTOPEN;
  if (code != SQLITE_OK) fail(code, "find the open file of", database.path(), nullptr);
  return file;
}

// Shared memory that other processes write: word by word, so that the compiler neither repeats nor skips a
// read.
void copy_words(std::uint8_t* into, const volatile std::uint32_t* from, std::size_t words) {
  for (std::size_t i = 0; i < words; ++i) {
    std::uint32_t word = from[i];
    std::memcpy(into + 4 * i, &word, sizeof word);
  }
}

}  // namespace

bool Database::read_file(std::int64_t offset, void* into, std::size_t size) {
  sqlite3_file* file = open_file(*this);
  int code = file->pMethods->xRead(file, into, static_cast<int>(size), offset);
  if (code == SQLITE_IOERR_SHORT_READ) return false;
  if (code != SQLITE_OK) fail(code, "read", path_, nullptr);
  return true;
}

std::array<std::uint8_t, Database::wal_index_header_size> Database::wal_index_header() {
  constexpr int region_size = 32 * 1024;  // the unit in which SQLite maps the -shm file
  sqlite3_file* file = open_file(*this);
  volatile void* region = nullptr;
  int code = SQLITE_IOERR;
  if (file->pMethods->iVersion >= 2) code = file->pMethods->xShmMap(file, 0, region_size, 0, &region);
  if (!region) fail(code, "map the WAL's index of", path_, nullptr);
  std::array<std::uint8_t, wal_index_header_size> header;
  auto words = static_cast<const volatile std::uint32_t*>(region);
  constexpr std::size_t copy = 12;
  copy_words(header.data(), words, copy);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  copy_words(header.data() + 4 * copy, words + copy, copy + 1);
  return header;
}

}  // namespace tidegate::sqlite
