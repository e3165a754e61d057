#include "capture/sqlite/file_checks.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "db/error.hpp"

namespace tidegate::capture {
namespace {

struct FileSystem {
  std::uint32_t magic;
  std::string_view name;
};

// From linux/magic.h, statfs(2), and for those outside the kernel their own sources.
constexpr std::array remote_file_systems{
    FileSystem{0x6969, "NFS"},
    FileSystem{0xff534d42, "CIFS"},
    FileSystem{0xfe534d42, "SMB"},
    FileSystem{0x517b, "SMB"},
    FileSystem{0x01021997, "9P"},
    FileSystem{0x00c36400, "Ceph"},
    FileSystem{0x5346414f, "AFS"},
    FileSystem{0x6b414653, "AFS"},
    FileSystem{0x73757245, "Coda"},
    FileSystem{0x564c, "NCP"},
    FileSystem{0x65735546, "FUSE"},
    FileSystem{0x7461636f, "OCFS2"},
    FileSystem{0x01161970, "GFS2"},
    FileSystem{0x0bd00bd0, "Lustre"},
    FileSystem{0x47504653, "GPFS"},
    FileSystem{0x19830326, "BeeGFS"},
    FileSystem{0x20030528, "OrangeFS"},
    FileSystem{0xaad7aaea, "PanFS"},
    FileSystem{0x786f4256, "VirtualBox"},
    FileSystem{0xbacbacbc, "VMware"},
    FileSystem{0x7c7c6673, "Parallels"},
};

// SQLite's header: 100 bytes, the format's versions at 18 (write) and 19 (read).
constexpr std::string_view header_magic("SQLite format 3\0", 16);
constexpr std::size_t header_size = 100;

bool may(const std::string& path, int mode) {
  return faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS) == 0;
}

// One question each: SQLite may delete the file between two.
bool sidecars_writable(const std::string& path) {
  return std::ranges::all_of(std::array{"-wal", "-shm", "-journal"}, [&](const char* suffix) {
    return may(path + suffix, R_OK | W_OK) || errno == ENOENT;
  });
}

// SQLite keeps -wal and -shm beside the file that a symbolic link leads to.
std::string real_path(const std::string& path) {
  std::error_code failed;
  auto real = std::filesystem::canonical(path, failed);
  return failed ? path : real.string();
}

std::string directory_of(const std::string& path) {
  auto directory = std::filesystem::path(path).parent_path().string();
  return directory.empty() ? "." : directory;
}

void read_header(const std::string& path, FileFacts& facts) {
  int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return;
  std::array<char, header_size> header{};
  ssize_t got = pread(file, header.data(), header.size(), 0);
  close(file);
  bool complete = got == static_cast<ssize_t>(header.size());
  facts.is_database = complete && std::string_view(header.data(), header_magic.size()) == header_magic;
  if (!facts.is_database) return;
  facts.write_version = static_cast<unsigned char>(header[18]);
  facts.read_version = static_cast<unsigned char>(header[19]);
}

void read_status(const struct stat& status, FileFacts& facts) {
  facts.is_directory = S_ISDIR(status.st_mode);
  facts.is_regular = S_ISREG(status.st_mode);
  facts.identity = {status.st_dev, status.st_ino};
  facts.size = static_cast<std::uint64_t>(status.st_size);
  facts.is_owner = geteuid() == 0 || geteuid() == status.st_uid;
}

void require_a_database(const std::string& path, const FileFacts& facts) {
  if (facts.is_missing) {
    throw Usage("no-such-source", "there is no file " + path,
                "check the path; SQLite would make an empty database there, tidegate does not");
  }
  if (facts.is_directory)
    throw Usage("source-not-a-file", path + " is a directory", "name the database file in it");
  if (!facts.is_regular)
    throw Usage("source-not-a-file", path + " is not a plain file", "name the database file itself");
  if (facts.size == 0) {
    throw Usage("source-empty", path + " is empty",
                "check the path, or start the application once so that it makes its tables");
  }
}

void require_access(const std::string& path, const FileFacts& facts) {
  const std::string mend = "run tidegate as the user of the application, or give it that right";
  if (!facts.readable) throw Refused("source-not-readable", "tidegate may not read " + path, mend);
  if (!facts.writable)
    throw Refused("source-not-writable", "tidegate may not write to " + path + ", which its locks need",
                  mend);
  if (!facts.sidecars_writable)
    throw Refused("source-not-writable", "tidegate may not write to the -wal, -shm or -journal of " + path,
                  mend);
  if (!facts.directory_writable) {
    throw Refused(
        "source-not-writable",
        "tidegate may not make files in the directory of " + path + ", where SQLite keeps -wal and -shm",
        mend);
  }
}

}  // namespace

std::string_view remote_file_system(std::uint32_t magic) {
  auto found = std::find_if(remote_file_systems.begin(), remote_file_systems.end(),
                            [&](const FileSystem& known) { return known.magic == magic; });
  return found == remote_file_systems.end() ? std::string_view() : found->name;
}

std::optional<FileIdentity> identity_of(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return std::nullopt;
  return FileIdentity{status.st_dev, status.st_ino};
}

FileFacts examine_file(const std::string& path) {
  FileFacts facts;
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    facts.is_missing = errno == ENOENT || errno == ENOTDIR;
    facts.unreachable = std::generic_category().message(errno);
    return facts;
  }
  read_status(status, facts);
  struct statfs system {};
  if (statfs(path.c_str(), &system) == 0) {
    facts.remote_file_system = remote_file_system(static_cast<std::uint32_t>(system.f_type));
  }
  if (!facts.is_regular) return facts;
  std::string real = real_path(path);
  facts.readable = may(real, R_OK);
  facts.writable = may(real, W_OK);
  facts.sidecars_writable = sidecars_writable(real);
  facts.directory_writable = may(directory_of(real), W_OK | X_OK);
  if (facts.readable) read_header(real, facts);
  return facts;
}

void require_local_database(const std::string& path, const FileFacts& facts) {
  if (!facts.unreachable.empty() && !facts.is_missing) {
    throw Refused("source-not-readable", "cannot reach " + path + " (" + facts.unreachable + ")",
                  "run tidegate as a user that may enter its directories");
  }
  require_a_database(path, facts);
  if (!facts.remote_file_system.empty()) {
    throw Refused("source-not-local",
                  path + " is on a network or FUSE file system (" + facts.remote_file_system +
                      "), where SQLite's locks do not reach the application",
                  "run tidegate on the machine that has the disk");
  }
  require_access(path, facts);
  if (!facts.is_database) {
    throw Usage("source-not-sqlite", path + " is not a SQLite database",
                "check the path; an encrypted database must be decrypted first");
  }
  if (facts.write_version > 2 || facts.read_version > 2) {
    throw Refused("source-too-new", path + " has a format newer than this SQLite knows",
                  "install a newer libsqlite3");
  }
}

FileFacts require_local_database(const std::string& path) {
  FileFacts facts = examine_file(path);
  require_local_database(path, facts);
  return facts;
}

}  // namespace tidegate::capture
