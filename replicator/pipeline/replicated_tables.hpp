// The replicated tables of a Postgres source as the pipeline knows them; any thread may ask.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "capture/postgres/catalog.hpp"

namespace tidegate {

class ReplicatedTables {
 public:
  std::vector<capture::PostgresTable> all() const {
    std::lock_guard lock(mutex_);
    return tables_;
  }
  std::optional<capture::PostgresTable> find(const std::string& source_name) const {
    std::lock_guard lock(mutex_);
    for (const auto& table : tables_) {
      if (table.source == source_name) return table;
    }
    return std::nullopt;
  }
  void set(std::vector<capture::PostgresTable> tables) {
    std::lock_guard lock(mutex_);
    tables_ = std::move(tables);
  }
  // In the place of one of the same name, or as another one.
  void put(const capture::PostgresTable& table) {
    std::lock_guard lock(mutex_);
    std::erase_if(tables_, [&](const auto& known) { return known.source == table.source; });
    tables_.push_back(table);
  }
  void replace(const capture::PostgresTable& table) {
    std::lock_guard lock(mutex_);
    for (auto& known : tables_) {
      if (known.source == table.source) known = table;
    }
  }

 private:
  mutable std::mutex mutex_;
  std::vector<capture::PostgresTable> tables_;
};

}  // namespace tidegate
