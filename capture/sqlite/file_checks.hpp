// Is this path a SQLite database that can be captured here? Looks without SQLite.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tidegate::capture {

// Tells a file from one that was put in its place. An inode can be used again after its file is gone, but not
// while a connection holds the file open.
struct FileIdentity {
  std::uint64_t device = 0, inode = 0;
  bool operator==(const FileIdentity&) const = default;
};

// By stat() alone, so it is safe at any time; absent where no file can be reached.
std::optional<FileIdentity> identity_of(const std::string& path);

// All false or empty beyond the first field that is false. Symbolic links are followed, as SQLite does.
struct FileFacts {
  std::string unreachable;  // why stat() failed, as the system says it; empty where it did not
  bool is_missing = false;  // it failed since nothing is there
  bool is_directory = false;
  bool is_regular = false;
  FileIdentity identity;
  std::uint64_t size = 0;
  std::string remote_file_system;  // its name where it is a network, cluster or FUSE one, else empty
  bool is_owner = false;  // we are its owner, or root: -wal and -shm made by us will be the app's too
  bool readable = false, writable = false;
  bool sidecars_writable = false;   // those of -wal, -shm and -journal that exist
  bool directory_writable = false;  // where -wal and -shm are made
  bool is_database = false;         // begins with SQLite's header
  int write_version = 0,
      read_version = 0;  // of that header: 1 rollback journal, 2 WAL, more: not known to us
  bool is_wal() const { return is_database && read_version == 2; }
};

// Opens and closes the file to read its header. POSIX drops all locks that a process has on a file when it
// closes *any* descriptor of it: only call this while the process has no SQLite connection to the file, on
// any thread.
FileFacts examine_file(const std::string& path);

// Throws Usage where the path is not that of a database, Refused where it is one that cannot be captured: one
// sentence with the way out. The same limit as examine_file.
FileFacts require_local_database(const std::string& path);
// The judgement alone. Pure.
void require_local_database(const std::string& path, const FileFacts& facts);

// The name of a network, cluster or FUSE file system by its magic number (statfs), else empty. Their locks or
// shared memory cannot be trusted with another machine, or another kernel, at the same file.
std::string_view remote_file_system(std::uint32_t magic);

}  // namespace tidegate::capture
