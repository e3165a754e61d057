// Which processes have a file open or locked, as far as /proc lets us see.
#pragma once

#include <string>
#include <vector>

namespace tidegate::capture {

struct FileUser {
  long pid = 0;
  std::string program;  // its short name
};

// Without ourselves and our children. Processes of other users are seen by root only. Nothing is opened:
// opening and closing a SQLite file would drop our locks on it.
std::vector<FileUser> users_of_file(const std::string& path);

// Those that have a transaction open just now on a database in WAL mode, reading or writing, by the locks on
// its -shm file. A process is one, however many transactions it has. Without ourselves and what we have
// started; what the kernel does not show (other containers) is missing.
std::vector<FileUser> in_transaction(const std::string& path);

// Does another process hold a lock on it just now? False where the kernel does not show it (other containers,
// file systems that number their devices twice).
bool is_locked_by_others(const std::string& path);

}  // namespace tidegate::capture
