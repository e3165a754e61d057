// The write-ahead log: a position in it, and the frames up to a position. The -wal file carries no POSIX
// locks of SQLite's, so opening and closing it here is safe (the database and its -shm file must never be
// opened).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "capture/sqlite/narrowing/look.hpp"

namespace tidegate::sqlite_wal {

using PageNumber = std::uint32_t;
using Bytes = std::span<const std::uint8_t>;
using FrameMap = std::unordered_map<PageNumber, std::uint32_t>;  // a page's last frame

std::uint32_t big_endian32(Bytes bytes, std::size_t at);
std::uint32_t big_endian16(Bytes bytes, std::size_t at);

// The state that a commit published: the WAL (by its salts) and its last committed frame, 0 for none.
struct WalPosition {
  std::uint32_t salt1 = 0, salt2 = 0;
  std::uint32_t frame = 0;
  std::uint32_t checksum1 = 0, checksum2 = 0;  // of that frame
  std::uint32_t change = 0;                    // counts commits
  std::uint32_t page_size = 0;

  bool operator==(const WalPosition&) const = default;
  bool same_wal(const WalPosition& other) const { return salt1 == other.salt1 && salt2 == other.salt2; }
  std::uint64_t bytes() const { return std::uint64_t{frame} * (page_size + 24); }
};

// From the start of the WAL's index (sqlite::Database::wal_index_header). Nothing while a writer is changing
// it, or where it is not of the one version that is known.
std::optional<WalPosition> published_position(Bytes wal_index_header);
// That a checkpoint has copied all frames up to the position, so that a snapshot taken now would not keep the
// WAL from being reset. True only at that moment.
bool checkpointed(Bytes wal_index_header, const WalPosition& position);

// The frames 1 to `until.frame`. The caller holds a read snapshot that keeps this WAL from being reset.
// Every doubt throws Unsure: a file that is missing, short, of other salts, or whose frame at a position has
// another checksum than the index says.
class WalFile {
 public:
  WalFile(const std::string& database_path, const WalPosition& until);
  ~WalFile();
  WalFile(const WalFile&) = delete;
  WalFile& operator=(const WalFile&) = delete;

  // That the file is the WAL of `until`. A writer that resets the WAL writes the new header before any frame,
  // so what was read before this call was not overwritten.
  void check_header() const;
  // That another WAL is in the file: `until` was published, so it was reset after that.
  static bool was_reset(const std::string& database_path, const WalPosition& until);
  // That the WAL still holds the frame where an earlier position of the same WAL ended.
  void check_holds(const WalPosition& position) const;
  // The frames from `first` on, oldest first: frame and page number.
  void each_frame(std::uint32_t first, const std::function<void(std::uint32_t, PageNumber)>& visit) const;
  // The first bytes of a frame's page image.
  void read_image(std::uint32_t frame, std::span<std::uint8_t> into) const;

 private:
  void read(std::uint64_t offset, std::span<std::uint8_t> into) const;
  std::uint64_t offset_of(std::uint32_t frame) const;
  WalPosition until_;
  int file_ = -1;
};

}  // namespace tidegate::sqlite_wal
