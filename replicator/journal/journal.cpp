#include "replicator/journal/journal.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/rand.h>

#include <algorithm>
#include <filesystem>

#include "db/digest.hpp"
#include "db/error.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

constexpr std::chrono::seconds state_busy_timeout{30};
constexpr std::uint64_t most_read_ahead = 256;      // entries
constexpr std::size_t enough_read_ahead = 1 << 20;  // bytes; then one more is not read

std::int64_t now_us() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

std::string random_uuid() {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) throw Error("no random bytes from OpenSSL", "", Advice::stop);
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
  const auto h = fmt::format("{:02x}", fmt::join(bytes, ""));
  return h.substr(0, 8) + "-" + h.substr(8, 4) + "-" + h.substr(12, 4) + "-" + h.substr(16, 4) + "-" +
         h.substr(20);
}

std::string digest_of(std::string_view previous, std::uint64_t sequence, bool closes, std::string_view body) {
  return hex_sha256({fmt::format("{}|{}|{}|", previous, sequence, closes ? 1 : 0), body});
}

// A statement that is kept must not keep the snapshot of the database that it has read.
struct ResetAtEnd {
  sqlite::Statement& statement;
  ~ResetAtEnd() { statement.reset(); }
};

Error damaged(std::uint64_t sequence, const std::string& path, const std::string& what) {
  return Error(fmt::format("journal entry {} in {} is damaged: {}", sequence, path, what), "", Advice::stop);
}

// Parts are cut long before; so it is one row, the largest one, and the operator is to know which.
Error too_large(const TransactionPart& part, std::size_t bytes, std::size_t limit) {
  auto largest = std::max_element(part.changes.begin(), part.changes.end(), [](const auto& a, const auto& b) {
    return size_in_memory(a) < size_in_memory(b);
  });
  std::string row = "a transaction";
  for (const Relation& relation : part.relations) {
    if (largest == part.changes.end() || relation.id != largest->relation) continue;
    row = "a row of table " + relation.table;
    if (!relation.key.empty()) row += " with key " + key_as_json(key_of(relation, largest->row));
  }
  return Error(
      fmt::format("{} has {} bytes, and a change can have {} at most; shorten it at the source and begin "
                  "anew, or leave its table out ([tables] exclude)",
                  row, bytes, limit),
      "", Advice::stop);
}

}  // namespace

sqlite::Database open_state(const std::string& path) {
  sqlite::Database state(path, sqlite::Database::Mode::create, state_busy_timeout);
  state.text("PRAGMA journal_mode = WAL");
  state.execute(
      "PRAGMA synchronous = FULL; PRAGMA cache_size = -16384; PRAGMA journal_size_limit = 67108864");
  return state;
}

// A clean end leaves no WAL; a reader would have to make one.
sqlite::Database look_at_state(const std::string& path) {
  std::error_code none;
  const bool has_wal = std::filesystem::exists(path + "-wal", none);
  using Mode = sqlite::Database::Mode;
  return sqlite::Database(path, has_wal ? Mode::read_only : Mode::at_rest, state_busy_timeout);
}

Journal::Journal(sqlite::Database& state, std::size_t max_part_bytes)
    : state_(state), max_part_bytes_(max_part_bytes) {
  sqlite::Transaction transaction(state_, sqlite::Transaction::Kind::immediate);
  state_.execute(
      "CREATE TABLE IF NOT EXISTS journal (seq INTEGER PRIMARY KEY, closes INTEGER NOT NULL, previous TEXT "
      "NOT NULL,"
      " digest TEXT NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL, written_at INTEGER NOT NULL,"
      " body BLOB NOT NULL);"
      "CREATE TABLE IF NOT EXISTS journal_meta (one INTEGER PRIMARY KEY CHECK (one = 1), incarnation TEXT "
      "NOT NULL)");
  auto insert = state_.prepare("INSERT OR IGNORE INTO journal_meta VALUES (1, ?)");
  insert.bind(1, std::string_view(random_uuid())).run();
  incarnation_ = state_.text("SELECT incarnation FROM journal_meta");
  transaction.commit();
  last_.emplace(state_.prepare("SELECT seq, digest FROM journal ORDER BY seq DESC LIMIT 1"));
  insert_.emplace(state_.prepare(
      "INSERT INTO journal(seq, closes, previous, digest, rows, bytes, written_at, body) VALUES (?, ?, ?, ?, "
      "?, ?, ?, ?)"));
}

std::uint64_t Journal::append(const TransactionPart& part) {
  std::uint64_t sequence = 1;
  std::string previous;
  {
    ResetAtEnd reset{*last_};
    if (last_->step()) {
      sequence = static_cast<std::uint64_t>(last_->integer(0)) + 1;
      previous = last_->text(1);
    }
  }
  std::string bytes = encode(part);
  if (bytes.size() > max_part_bytes_) throw too_large(part, bytes.size(), max_part_bytes_);
  std::string body = compressor_.compress(bytes);
  sqlite::Statement& insert = *insert_;
  ResetAtEnd reset{insert};  // also after a failure, or nothing more could be bound to it
  insert.bind(1, static_cast<std::int64_t>(sequence)).bind(2, static_cast<std::int64_t>(part.last));
  insert.bind(3, std::string_view(previous));
  insert.bind(4, std::string_view(digest_of(previous, sequence, part.last, body)));
  insert.bind(5, static_cast<std::int64_t>(part.changes.size()))
      .bind(6, static_cast<std::int64_t>(bytes.size()));
  insert.bind(7, now_us()).bind_blob(8, body).run();
  failpoint("journal-after-append");
  return sequence;
}

void Journal::discard_open() {
  ResetAtEnd reset{*last_};
  state_.execute(
      "DELETE FROM journal WHERE seq > coalesce((SELECT seq FROM journal WHERE closes = 1 ORDER BY seq DESC "
      "LIMIT 1), 0)");
}

void Journal::trim(std::uint64_t applied, std::chrono::seconds retention) {
  auto remove = state_.prepare(
      "DELETE FROM journal WHERE seq <= ?1 AND written_at < ?2 AND seq < (SELECT seq FROM journal WHERE "
      "closes = 1 ORDER BY seq DESC LIMIT 1)");
  remove.bind(1, static_cast<std::int64_t>(applied));
  remove.bind(2, now_us() - std::chrono::duration_cast<std::chrono::microseconds>(retention).count()).run();
}

JournalReader::JournalReader(const std::string& state_path)
    : state_(state_path, sqlite::Database::Mode::read_write, state_busy_timeout) {
  state_.execute("PRAGMA query_only = ON");
}

std::uint64_t JournalReader::end() {
  return static_cast<std::uint64_t>(state_.integer(
      "SELECT coalesce((SELECT seq FROM journal WHERE closes = 1 ORDER BY seq DESC LIMIT 1), 0)"));
}

std::uint64_t JournalReader::first() {
  return static_cast<std::uint64_t>(state_.integer("SELECT coalesce(min(seq), 1) FROM journal"));
}

// Several at a time, since to begin and end a read costs as much as to read a small row. Those of closed
// transactions only: others may be taken back.
void JournalReader::read_after(std::uint64_t sequence) {
  if (!entries_) {
    entries_.emplace(state_.prepare(
        "SELECT seq, previous, digest, closes, written_at, body FROM journal WHERE seq > ? AND "
        "seq <= ? ORDER BY seq"));
  }
  ahead_.clear();
  sqlite::Statement& row = *entries_;
  ResetAtEnd reset{row};
  row.bind(1, static_cast<std::int64_t>(sequence));
  row.bind(2, static_cast<std::int64_t>(std::clamp(end_, sequence + 1, sequence + most_read_ahead)));
  for (std::size_t bytes = 0; bytes < enough_read_ahead && row.step();) {
    Entry entry{static_cast<std::uint64_t>(row.integer(0)),
                row.text(1),
                row.text(2),
                row.integer(3) != 0,
                row.integer(4),
                {}};
    ahead_.push_back({std::move(entry), std::string(row.bytes(5))});
    bytes += ahead_.back().body.size();
  }
}

JournalReader::Entry JournalReader::unpacked(Stored stored) {
  Entry& entry = stored.entry;
  if (digest_of(entry.previous, entry.sequence, entry.closes, stored.body) != entry.digest)
    throw damaged(entry.sequence, state_.path(), "its digest does not match");
  try {
    entry.part = decode_part(decompressor_.decompress(stored.body));
  } catch (const std::invalid_argument& error) {
    throw damaged(entry.sequence, state_.path(), error.what());
  }
  return std::move(entry);
}

std::optional<JournalReader::Entry> JournalReader::next(std::uint64_t sequence, std::uint64_t open_end) {
  if (sequence >= end_ && sequence >= (end_ = end()) && sequence >= open_end) return std::nullopt;
  auto is_next = [&] { return !ahead_.empty() && ahead_.front().entry.sequence == sequence + 1; };
  if (!is_next()) read_after(sequence);
  if (!is_next()) {
    if (sequence >= end_) return std::nullopt;
    throw Error(fmt::format("the journal in {} no longer holds entry {}, which the target still needs",
                            state_.path(), sequence + 1),
                "", Advice::stop);
  }
  Stored stored = std::move(ahead_.front());
  ahead_.pop_front();
  return unpacked(std::move(stored));
}

std::string JournalReader::incarnation() {
  return state_.text("SELECT incarnation FROM journal_meta");
}

std::optional<std::string> JournalReader::digest_at(std::uint64_t sequence) {
  if (sequence == 0) return "";
  auto row = state_.prepare("SELECT digest FROM journal WHERE seq = ?");
  row.bind(1, static_cast<std::int64_t>(sequence));
  if (row.step()) return row.text(0);
  // The row before the oldest one that is left is known by the digest that this one follows on.
  auto follower = state_.prepare("SELECT previous FROM journal WHERE seq = ?");
  follower.bind(1, static_cast<std::int64_t>(sequence) + 1);
  if (follower.step()) return follower.text(0);
  return std::nullopt;
}

JournalReader::Backlog JournalReader::backlog_after(std::uint64_t sequence) {
  auto row = state_.prepare(
      "SELECT count(*), coalesce(sum(rows), 0), coalesce(sum(bytes), 0), coalesce(min(written_at), 0),"
      " coalesce(sum(closes), 0) FROM journal WHERE seq > ?");
  row.bind(1, static_cast<std::int64_t>(sequence)).step();
  auto number = [&](int column) { return static_cast<std::uint64_t>(row.integer(column)); };
  return {number(0), number(4), number(1), number(2), row.integer(3)};
}

std::uint64_t JournalReader::total_bytes() {
  return static_cast<std::uint64_t>(state_.integer("SELECT coalesce(sum(length(body)), 0) FROM journal"));
}

std::uint64_t JournalReader::bytes_since(std::int64_t written_at_us) {
  auto row = state_.prepare("SELECT coalesce(sum(length(body)), 0) FROM journal WHERE written_at >= ?");
  row.bind(1, written_at_us).step();
  return static_cast<std::uint64_t>(row.integer(0));
}

}  // namespace tidegate
