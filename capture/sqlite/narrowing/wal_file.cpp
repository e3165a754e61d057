#include "capture/sqlite/narrowing/wal_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace tidegate::sqlite_wal {
namespace {

constexpr std::size_t header_size = 32, frame_header_size = 24;
constexpr std::size_t index_header_size = 48;  // one copy
constexpr std::uint32_t known_index_version = 3007000;

struct WalIsAnother : Unsure {
  using Unsure::Unsure;
};

// The index is in the machine's own byte order.
std::uint32_t native32(Bytes bytes, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// SQLite's checksum of the index's header: over all but its own last 8 bytes.
bool checksum_holds(Bytes header) {
  std::uint32_t sum1 = 0, sum2 = 0;
  for (std::size_t at = 0; at < index_header_size - 8; at += 8) {
    sum1 += native32(header, at) + sum2;
    sum2 += native32(header, at + 4) + sum1;
  }
  return sum1 == native32(header, 40) && sum2 == native32(header, 44);
}

// SQLite before 3.41 or so can commit frames without salts and checksum, when a transaction spilled its cache
// and then went back to a savepoint. Live connections read them all the same, so we do; recovery would not.
bool lacks_salts_and_checksum(Bytes frame_header) {
  return std::all_of(frame_header.begin() + 8, frame_header.end(),
                     [](std::uint8_t byte) { return byte == 0; });
}

std::uint32_t decoded_page_size(Bytes header) {
  std::uint16_t stored = 0;
  std::memcpy(&stored, header.data() + 14, sizeof stored);
  return stored == 1 ? 65536 : stored;
}

}  // namespace

std::uint32_t big_endian32(Bytes bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 |
         std::uint32_t{bytes[at + 2]} << 8 | bytes[at + 3];
}

std::uint32_t big_endian16(Bytes bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 8 | bytes[at + 1];
}

std::optional<WalPosition> published_position(Bytes bytes) {
  if (bytes.size() < 2 * index_header_size) return std::nullopt;
  Bytes header = bytes.first(index_header_size);
  if (std::memcmp(header.data(), header.data() + index_header_size, index_header_size) != 0)
    return std::nullopt;
  bool initialised = header[12] != 0;
  if (!initialised || native32(header, 0) != known_index_version || !checksum_holds(header))
    return std::nullopt;
  WalPosition position;
  position.change = native32(header, 8);
  position.page_size = decoded_page_size(header);
  position.frame = native32(header, 16);
  position.checksum1 = native32(header, 24);
  position.checksum2 = native32(header, 28);
  position.salt1 = big_endian32(header, 32);  // kept as in the file
  position.salt2 = big_endian32(header, 36);
  return position;
}

bool checkpointed(Bytes bytes, const WalPosition& position) {
  return bytes.size() >= 2 * index_header_size + 4 &&
         native32(bytes, 2 * index_header_size) >= position.frame;
}

WalFile::WalFile(const std::string& database_path, const WalPosition& until) : until_(until) {
  if (until.frame == 0) return;  // the file may hold an older WAL, or not be there
  file_ = open((database_path + "-wal").c_str(), O_RDONLY | O_CLOEXEC);
  if (file_ < 0) throw Unsure("the -wal file cannot be opened");
  try {
    check_header();
    check_holds(until);
  } catch (...) {
    close(file_);
    throw;
  }
}

WalFile::~WalFile() {
  if (file_ >= 0) close(file_);
}

void WalFile::check_header() const {
  if (until_.frame == 0) return;
  std::array<std::uint8_t, header_size> header;
  read(0, header);
  bool magic = (big_endian32(header, 0) | 1U) == 0x377f0683U;
  if (!magic || big_endian32(header, 8) != until_.page_size) throw Unsure("the -wal file is not understood");
  bool salts = big_endian32(header, 16) == until_.salt1 && big_endian32(header, 20) == until_.salt2;
  if (!salts) throw WalIsAnother("the WAL was reset while it was read");
}

bool WalFile::was_reset(const std::string& database_path, const WalPosition& until) {
  if (until.frame == 0) return false;
  try {
    WalFile file(database_path, until);
  } catch (const WalIsAnother&) {
    return true;
  } catch (const Unsure&) {
  }
  return false;
}

void WalFile::check_holds(const WalPosition& position) const {
  if (position.frame == 0) return;
  if (position.frame > until_.frame || !position.same_wal(until_)) throw Unsure("the WAL went back");
  std::array<std::uint8_t, frame_header_size> header;
  read(offset_of(position.frame), header);
  bool same =
      big_endian32(header, 16) == position.checksum1 && big_endian32(header, 20) == position.checksum2;
  if (!same && !lacks_salts_and_checksum(header)) throw Unsure("a frame of the WAL was replaced");
}

void WalFile::each_frame(std::uint32_t first,
                         const std::function<void(std::uint32_t, PageNumber)>& visit) const {
  std::array<std::uint8_t, frame_header_size> header;
  for (std::uint32_t frame = first; frame <= until_.frame; ++frame) {
    read(offset_of(frame), header);
    bool salts = big_endian32(header, 8) == until_.salt1 && big_endian32(header, 12) == until_.salt2;
    if (!salts && !lacks_salts_and_checksum(header)) {
      throw Unsure("a committed frame has other salts than its WAL");
    }
    visit(frame, big_endian32(header, 0));
  }
}

void WalFile::read_image(std::uint32_t frame, std::span<std::uint8_t> into) const {
  read(offset_of(frame) + frame_header_size, into);
}

std::uint64_t WalFile::offset_of(std::uint32_t frame) const {
  return header_size + std::uint64_t{frame - 1} * (frame_header_size + until_.page_size);
}

void WalFile::read(std::uint64_t offset, std::span<std::uint8_t> into) const {
  std::size_t done = 0;
  while (done < into.size()) {
    ssize_t got = pread(file_, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw Unsure("the -wal file is shorter than its index says");
    done += static_cast<std::size_t>(got);
  }
}

}  // namespace tidegate::sqlite_wal
