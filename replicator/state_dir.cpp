#include "replicator/state_dir.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "replicator/failure.hpp"

namespace tidegate {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr std::size_t largest_lock_file = 4096;

[[noreturn]] void fail(std::string_view operation, const fs::path& path) {
  const int reason = errno;
  throw Error(fmt::format("{} {}: {}", operation, path.string(), std::strerror(reason)), "", Advice::stop);
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  explicit operator bool() const { return number_ >= 0; }
  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

fs::path lock_file(const fs::path& state_dir) {
  return state_dir / "lock";
}

// The whole file; a lock of an open file description, so that threads and children do not matter.
struct flock whole_file(short type) {
  struct flock region {};
  region.l_type = type;
  region.l_whence = SEEK_SET;
  return region;
}

bool is_locked(int descriptor) {
  struct flock region = whole_file(F_WRLCK);
  return fcntl(descriptor, F_OFD_GETLK, &region) == 0 && region.l_type != F_UNLCK;
}

std::string read_all(int descriptor) {
  std::string text(largest_lock_file, '\0');
  const ssize_t got = pread(descriptor, text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

void write_all(int descriptor, std::string_view text, const fs::path& path) {
  while (!text.empty()) {
    const ssize_t put = ::write(descriptor, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail("cannot write", path);
    text.remove_prefix(static_cast<std::size_t>(put));
  }
}

// What the lock file says; zeros and empty words where it is torn or from elsewhere.
LockHolder holder_written(int descriptor) {
  boost::system::error_code failure;
  const json::value read = json::parse(read_all(descriptor), failure);
  LockHolder holder;
  if (failure || !read.is_object()) return holder;
  const auto& object = read.get_object();
  if (const auto* pid = object.if_contains("pid"); pid && pid->is_int64()) holder.pid = pid->get_int64();
  if (const auto* host = object.if_contains("host"); host && host->is_string())
    holder.host = host->get_string();
  if (const auto* name = object.if_contains("pipeline"); name && name->is_string())
    holder.pipeline = name->get_string();
  return holder;
}

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

void write_holder(int descriptor, const std::string& pipeline, const fs::path& path) {
  const std::string text =
      json::serialize(json::value{
          {"pid", static_cast<std::int64_t>(getpid())}, {"host", host_name()}, {"pipeline", pipeline}}) +
      "\n";
  if (ftruncate(descriptor, 0) != 0) fail("cannot write", path);
  write_all(descriptor, text, path);
}

void make_private_folder(const fs::path& path) {
  std::error_code failure;
  fs::create_directories(path.parent_path(), failure);
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) fail("cannot make the state directory", path);
  struct stat facts {};
  if (stat(path.c_str(), &facts) != 0) fail("cannot look at the state directory", path);
  if (!S_ISDIR(facts.st_mode))
    throw Coded<Refused>("state-dir-not-a-folder",
                         fmt::format("the state directory {} is not a folder", path.string()),
                         "give another with --state DIR");
  if (facts.st_uid != geteuid())
    throw Coded<Refused>("state-dir-of-another-user",
                         fmt::format("the state directory {} belongs to another user", path.string()),
                         "run as that user, or give another with --state DIR");
  if ((facts.st_mode & 077) != 0 && chmod(path.c_str(), 0700) != 0) fail("cannot make private", path);
}

[[noreturn]] void refuse_second(const fs::path& path, const LockHolder& holder) {
  throw Coded<Refused>(
      "second-daemon",
      fmt::format("another tidegate (pid {} on {}) runs on the state directory {}", holder.pid, holder.host,
                  path.string()),
      "use it (tidegate status), stop it (tidegate stop), or give another directory with --state DIR");
}

void refuse_other_pipeline(const fs::path& path, const LockHolder& last, const std::string& pipeline) {
  if (last.pipeline.empty() || last.pipeline == pipeline) return;
  throw Coded<Refused>(
      "other-pipeline",
      fmt::format("the state directory {} belongs to the pipeline {}, not {}", path.string(), last.pipeline,
                  pipeline),
      "give another directory with --state DIR, or the pipeline's own name in [pipeline] name");
}

}  // namespace

fs::path api_socket(const fs::path& state_dir) {
  return state_dir / "api.sock";
}

std::optional<LockHolder> lock_holder(const fs::path& state_dir) {
  const Descriptor file(::open(lock_file(state_dir).c_str(), O_RDWR | O_CLOEXEC));
  if (!file || !is_locked(file.get())) return {};
  return holder_written(file.get());
}

StateDir::StateDir(fs::path path, std::string pipeline)
    : path_(std::move(path)), pipeline_(std::move(pipeline)) {
  make_private_folder(path_);
  const fs::path name = lock_file(path_);
  Descriptor file(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file) fail("cannot open", name);
  struct flock region = whole_file(F_WRLCK);
  if (fcntl(file.get(), F_OFD_SETLK, &region) != 0) {
    if (errno != EAGAIN && errno != EACCES) fail("cannot lock", name);
    refuse_second(path_, holder_written(file.get()));
  }
  refuse_other_pipeline(path_, holder_written(file.get()), pipeline_);
  write_holder(file.get(), pipeline_, name);
  lock_ = file.release();
}

StateDir::~StateDir() {
  if (lock_ >= 0) ::close(lock_);
}

StateDir::StateDir(StateDir&& other) noexcept
    : path_(std::move(other.path_)),
      pipeline_(std::move(other.pipeline_)),
      lock_(std::exchange(other.lock_, -1)) {}

void write_file_atomically(const fs::path& file, const std::string& text) {
  const fs::path fresh = fmt::format("{}.{}.new", file.string(), getpid());
  {
    const Descriptor out(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!out) fail("cannot write", file);
    write_all(out.get(), text, file);
    if (fsync(out.get()) != 0) fail("cannot write", file);
  }
  if (::rename(fresh.c_str(), file.c_str()) != 0) fail("cannot replace", file);
  // The name is durable only once the folder is.
  const fs::path folder = file.has_parent_path() ? file.parent_path() : ".";
  const Descriptor around(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!around || fsync(around.get()) != 0) fail("cannot write", folder);
}

}  // namespace tidegate
