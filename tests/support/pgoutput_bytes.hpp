// pgoutput's messages as bytes, written from the protocol's description.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::testing_support {

class PgoutputBytes {
 public:
  explicit PgoutputBytes(char type) { bytes_ += type; }
  template <typename Number>
  PgoutputBytes& number(Number value) {
    for (int shift = 8 * (sizeof(Number) - 1); shift >= 0; shift -= 8)
      bytes_ += static_cast<char>(static_cast<std::uint64_t>(value) >> shift);
    return *this;
  }
  PgoutputBytes& u8(int value) { return number(static_cast<std::uint8_t>(value)); }
  PgoutputBytes& u16(int value) { return number(static_cast<std::uint16_t>(value)); }
  PgoutputBytes& u32(std::uint32_t value) { return number(value); }
  PgoutputBytes& u64(std::uint64_t value) { return number(value); }
  PgoutputBytes& text(std::string_view value) {
    bytes_ += value;
    bytes_ += '\0';
    return *this;
  }
  // One letter per value: "n" null, "u" unchanged, else "t" and the text.
  PgoutputBytes& tuple(const std::vector<std::string>& values) {
    u16(static_cast<int>(values.size()));
    for (const std::string& value : values) {
      bytes_ += value[0];
      if (value[0] == 't' || value[0] == 'b') u32(static_cast<std::uint32_t>(value.size() - 1));
      bytes_ += value.substr(1);
    }
    return *this;
  }
  operator std::string() const { return bytes_; }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

using Xid = std::optional<std::uint32_t>;  // of a message within a stream

inline PgoutputBytes in_stream(char type, Xid xid) {
  PgoutputBytes bytes(type);
  if (xid) bytes.u32(*xid);
  return bytes;
}

struct TestColumn {
  std::string name;
  bool key = false;
  std::uint32_t type = 25;
};
inline std::string relation(std::uint32_t oid, const std::string& table, char identity,
                            const std::vector<TestColumn>& columns, Xid xid = {}) {
  auto bytes = in_stream('R', xid);
  bytes.u32(oid).text("public").text(table).u8(identity).u16(static_cast<int>(columns.size()));
  for (const auto& column : columns) bytes.u8(column.key).text(column.name).u32(column.type).u32(0xffffffff);
  return bytes;
}
inline std::string begin(std::uint64_t commit_lsn, std::uint32_t xid, std::int64_t time = 5) {
  return PgoutputBytes('B').u64(commit_lsn).u64(static_cast<std::uint64_t>(time)).u32(xid);
}
inline std::string commit(std::uint64_t commit_lsn, std::uint64_t end_lsn, std::int64_t time = 5) {
  return PgoutputBytes('C').u8(0).u64(commit_lsn).u64(end_lsn).u64(static_cast<std::uint64_t>(time));
}
inline std::string insert(std::uint32_t oid, const std::vector<std::string>& row, Xid xid = {}) {
  return in_stream('I', xid).u32(oid).u8('N').tuple(row);
}
inline std::string update(std::uint32_t oid, const std::vector<std::string>& row, Xid xid = {}) {
  return in_stream('U', xid).u32(oid).u8('N').tuple(row);
}
inline std::string update(std::uint32_t oid, char kind, const std::vector<std::string>& old,
                          const std::vector<std::string>& row, Xid xid = {}) {
  return in_stream('U', xid).u32(oid).u8(kind).tuple(old).u8('N').tuple(row);
}
inline std::string removal(std::uint32_t oid, char kind, const std::vector<std::string>& old, Xid xid = {}) {
  return in_stream('D', xid).u32(oid).u8(kind).tuple(old);
}
inline std::string truncation(const std::vector<std::uint32_t>& oids, int flags, Xid xid = {}) {
  auto bytes = in_stream('T', xid);
  bytes.u32(static_cast<std::uint32_t>(oids.size())).u8(flags);
  for (auto oid : oids) bytes.u32(oid);
  return bytes;
}
inline std::string logical(bool transactional, const std::string& prefix, const std::string& content,
                           Xid xid = {}) {
  auto bytes = in_stream('M', xid);
  bytes.u8(transactional).u64(77).text(prefix).u32(static_cast<std::uint32_t>(content.size()));
  return bytes.bytes() + content;
}
inline std::string origin(const std::string& name) {
  return PgoutputBytes('O').u64(9).text(name);
}
inline std::string stream_start(std::uint32_t xid, bool first) {
  return PgoutputBytes('S').u32(xid).u8(first);
}
inline std::string stream_stop() {
  return PgoutputBytes('E');
}
inline std::string stream_commit(std::uint32_t xid, std::uint64_t commit_lsn, std::uint64_t end_lsn) {
  return PgoutputBytes('c').u32(xid).u8(0).u64(commit_lsn).u64(end_lsn).u64(5);
}
inline std::string stream_abort(std::uint32_t xid, std::uint32_t subtransaction) {
  return PgoutputBytes('A').u32(xid).u32(subtransaction);
}
inline std::string begin_prepare(std::uint32_t xid, std::uint64_t prepare_lsn) {
  return PgoutputBytes('b').u64(prepare_lsn).u64(prepare_lsn + 1).u64(5).u32(xid).text("gid");
}
inline std::string prepare(char type, std::uint32_t xid, std::uint64_t prepare_lsn) {
  return PgoutputBytes(type).u8(0).u64(prepare_lsn).u64(prepare_lsn + 1).u64(5).u32(xid).text("gid");
}
inline std::string commit_prepared(std::uint32_t xid, std::uint64_t commit_lsn) {
  return PgoutputBytes('K').u8(0).u64(commit_lsn).u64(commit_lsn + 1).u64(5).u32(xid).text("gid");
}
inline std::string rollback_prepared(std::uint32_t xid, std::uint64_t prepare_end_lsn) {
  return PgoutputBytes('r')
      .u8(0)
      .u64(prepare_end_lsn)
      .u64(prepare_end_lsn + 9)
      .u64(5)
      .u64(6)
      .u32(xid)
      .text("gid");
}

}  // namespace tidegate::testing_support
