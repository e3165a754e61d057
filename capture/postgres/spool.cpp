#include "capture/postgres/spool.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include "db/error.hpp"

namespace tidegate {
namespace {

constexpr std::size_t buffer_size = 256 << 10;
constexpr const char* suffix = ".spool";

[[noreturn]] void fail(const std::string& operation, const std::string& path) {
  throw Error(operation + " " + path + ": " + std::system_category().message(errno), "", Advice::stop);
}

struct NoRoom {};

bool is_no_room(int error) {
  return error == ENOSPC || error == EDQUOT;
}

class OpenFile {
 public:
  OpenFile(const std::string& path, int flags)
      : path_(path), file_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {
    if (file_ < 0 && is_no_room(errno)) throw NoRoom();
    if (file_ < 0) fail("open", path_);
  }
  ~OpenFile() { ::close(file_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      auto written = ::write(file_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0 && is_no_room(errno)) throw NoRoom();
      if (written < 0) fail("write", path_);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  // Fewer only at the end of the file.
  std::size_t read(char* into, std::size_t size) {
    std::size_t got = 0;
    while (got < size) {
      auto found = ::read(file_, into + got, size - got);
      if (found < 0 && errno == EINTR) continue;
      if (found < 0) fail("read", path_);
      if (found == 0) break;
      got += static_cast<std::size_t>(found);
    }
    return got;
  }

 private:
  std::string path_;
  int file_;
};

// Before each message in a file; the files are read by the process that wrote them.
struct Header {
  std::uint32_t size, subtransaction, kept;
};

// Reads a file of records through a buffer.
class Records {
 public:
  explicit Records(const std::string& path) : path_(path), file_(path, O_RDONLY), buffer_(buffer_size) {}

  bool next(Header& header) {
    if (!fill(sizeof(Header))) return false;
    std::memcpy(&header, buffer_.data() + at_, sizeof header);
    at_ += sizeof header;
    return true;
  }
  std::string_view message(std::size_t size) {
    if (!fill(size)) throw Error("the file " + path_ + " ends within a message", "", Advice::reconnect);
    at_ += size;
    return {buffer_.data() + at_ - size, size};
  }

 private:
  bool fill(std::size_t size) {
    if (end_ - at_ >= size) return true;
    std::memmove(buffer_.data(), buffer_.data() + at_, end_ - at_);
    end_ -= at_;
    at_ = 0;
    if (buffer_.size() < size) buffer_.resize(size);
    end_ += file_.read(buffer_.data() + end_, buffer_.size() - end_);
    return end_ >= size;
  }
  std::string path_;
  OpenFile file_;
  std::vector<char> buffer_;
  std::size_t at_ = 0, end_ = 0;
};

std::string changes_of_source(std::uint64_t bytes) {
  return std::to_string(bytes) + " bytes of changes of the source's open transactions";
}

void remove_leftovers(const std::string& directory) {
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == suffix) std::filesystem::remove(entry.path());
  }
}

}  // namespace

Spool::Spool(std::string directory, std::uint64_t limit) : directory_(std::move(directory)), limit_(limit) {
  try {
    if (std::filesystem::create_directories(directory_)) {
      std::filesystem::permissions(directory_, std::filesystem::perms::owner_all);
    }
    remove_leftovers(directory_);
  } catch (const std::filesystem::filesystem_error& error) {
    auto advice = is_no_room(error.code().value()) ? Advice::retry : Advice::stop;
    throw Error("the folder " + directory_ + ": " + error.code().message(), "", advice);
  }
}

Spool::~Spool() {
  for (const auto& [transaction, file] : files_) ::unlink(path_of(transaction).c_str());
}

std::string Spool::path_of(std::uint32_t transaction) const {
  return directory_ + "/" + std::to_string(transaction) + suffix;
}

void Spool::append(std::uint32_t transaction, std::uint32_t subtransaction, std::string_view message,
                   bool kept) {
  if (current_ != transaction) rest();
  current_ = transaction;
  Header header{static_cast<std::uint32_t>(message.size()), subtransaction, kept};
  buffer_.append(reinterpret_cast<const char*>(&header), sizeof header);
  buffer_.append(message);
  files_[transaction].bytes += sizeof header + message.size();
  bytes_ += sizeof header + message.size();
  if (bytes_ > limit_)
    throw SpoolFull(changes_of_source(bytes_) + " are more than [source] spool_limit (" +
                    std::to_string(limit_) + " bytes)");
  if (buffer_.size() >= buffer_size) write_out();
}

void Spool::write_out() {
  if (buffer_.empty()) return;
  try {
    OpenFile(path_of(current_), O_WRONLY | O_CREAT | O_APPEND).write(buffer_);
  } catch (const NoRoom&) {
    throw SpoolFull("the disk of " + directory_ + " has no room for " + changes_of_source(bytes_) +
                    "; make room there, or give [source] spool_limit fewer bytes");
  }
  buffer_.clear();
}

void Spool::rest() {
  write_out();
  current_ = 0;
}

void Spool::abort(std::uint32_t transaction, std::uint32_t subtransaction) {
  files_[transaction].aborted.insert(subtransaction);
}

void Spool::read(std::uint32_t transaction, const std::function<void(std::string_view)>& receive) {
  rest();
  auto found = files_.find(transaction);
  if (found == files_.end() || found->second.bytes == 0) return;
  Records records(path_of(transaction));
  for (Header header; records.next(header);) {
    std::string_view message = records.message(header.size);
    if (header.kept || !found->second.aborted.contains(header.subtransaction)) receive(message);
  }
}

void Spool::remove(std::uint32_t transaction) {
  if (current_ == transaction) {
    buffer_.clear();
    current_ = 0;
  }
  auto found = files_.find(transaction);
  if (found == files_.end()) return;
  bytes_ -= found->second.bytes;
  files_.erase(found);
  std::string path = path_of(transaction);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail("remove", path);
}

}  // namespace tidegate
