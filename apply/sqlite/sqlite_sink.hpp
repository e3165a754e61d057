// The sink of the way back: the target's changes into the legacy file, rows and position in one transaction.
// README.md says how it writes.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apply/sink.hpp"
#include "apply/sqlite/legacy_file.hpp"
#include "apply/sqlite/legacy_table.hpp"
#include "apply/sqlite/reverse_net.hpp"

namespace tidegate {

// By the name that the target's stream gives the table.
using ReverseTables = std::map<std::string, ReverseTable>;

class SqliteSink : public Sink {
 public:
  // `file` has begun. Changes of tables that are not among `tables` are left out.
  SqliteSink(LegacyFile& file, const ReverseTables& tables) : file_(file), tables_(tables) {}

  const Position& position() const override { return file_.position(); }
  void add(const Relation& relation, Change change) override;
  std::size_t rows() const override { return rows_; }
  std::size_t bytes() const override { return bytes_; }
  void write(const Position& to) override;
  void spill(std::uint64_t sequence) override;
  // Nothing is copied on the way back, so a TRUNCATE is never split.
  void remove_ranges(const Relation& relation, const ChunkMap::Key& key,
                     const std::vector<KeyRange>& ranges) override;

 private:
  struct Write;  // one row on its way
  void begin();
  void write_added(std::uint64_t sequence);
  LegacyTable& table_of(const ReverseNet& net);
  void remove_rows(const ReverseNet& net);
  void write_rows(const ReverseNet& net, std::uint64_t sequence, std::vector<Write>& aside);
  std::optional<LegacyTable::Held> find(const ReverseNet& net, const Row& key);
  bool fill_in(Write& write, std::uint64_t sequence);
  void put(Write& write, std::uint64_t sequence, std::vector<Write>& aside);
  void settle(std::vector<Write> aside, std::uint64_t sequence);
  std::optional<std::size_t> put_together(std::vector<Write>& writes, std::string& why);
  void reject(const Write& write, const std::string& column, const std::string& reason,
              std::uint64_t sequence);
  void done(const Write& write);

  LegacyFile& file_;
  const ReverseTables& tables_;
  std::map<std::string, std::unique_ptr<LegacyTable>> open_;  // by the target's name
  std::vector<std::unique_ptr<ReverseNet>> nets_;             // in the order in which the tables appeared
  std::size_t rows_ = 0, bytes_ = 0;
  std::optional<sqlite::Transaction> transaction_;
};

}  // namespace tidegate
