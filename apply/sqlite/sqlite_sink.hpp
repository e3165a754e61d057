// The sink of the way back: the target's changes into the legacy file, rows and position in one transaction.
// README.md says how it writes.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apply/mapping/back/mapped_return.hpp"
#include "apply/sink.hpp"
#include "apply/sqlite/legacy_file.hpp"
#include "apply/sqlite/legacy_table.hpp"
#include "apply/sqlite/legacy_writes.hpp"
#include "apply/sqlite/reverse_net.hpp"
#include "apply/sqlite/sqlite_side.hpp"

namespace tidegate {

// By the name that the target's stream gives the table.
using ReverseTables = std::map<std::string, ReverseTable>;

class SqliteSink : public Sink {
 public:
  // `file` has begun. `mapped`: for the tables that a mapping fills, over `side`; none where there is none.
  // Changes of tables that are in neither are left out.
  SqliteSink(LegacyFile& file, const ReverseTables& tables, MappedReturn* mapped = nullptr,
             SqliteSide* side = nullptr)
      : file_(file), tables_(tables), mapped_(mapped), side_(side) {}

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
  void begin();
  void write_added(std::uint64_t sequence);
  LegacyTable& table_of(const ReverseNet& net);
  void remove_rows(const ReverseNet& net);
  void write_rows(const ReverseNet& net, LegacyWrites& writes);
  std::optional<LegacyTable::Held> find(const ReverseNet& net, const Row& key);
  static bool fill_in(const ReverseNet& net, const ReverseRow& row, LegacyWrite& write, LegacyWrites& writes);

  LegacyFile& file_;
  const ReverseTables& tables_;
  MappedReturn* mapped_;
  SqliteSide* side_;
  std::map<std::string, std::unique_ptr<LegacyTable>> open_;  // by the target's name
  std::vector<std::unique_ptr<ReverseNet>> nets_;             // in the order in which the tables appeared
  std::size_t rows_ = 0, bytes_ = 0;
  std::optional<sqlite::Transaction> transaction_;
};

}  // namespace tidegate
