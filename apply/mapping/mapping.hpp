// All maps of a pipeline. Compiles each table's when its rows first come in a shape. Used by one thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apply/mapping/mapped_table.hpp"

namespace tidegate {

// The outputs of a table's maps, in the file's order; `maps` must outlive them.
std::vector<MapOutput> outputs_of(const std::vector<MapDefinition>& maps, const std::string& table);

class Mapping {
 public:
  // Says how the source describes a table now; nothing where it has no such table.
  using Describe = std::function<std::optional<SourceTable>(const std::string&)>;

  Mapping(std::vector<MapDefinition> maps, MappingOptions options, Describe describe)
      : maps_(std::move(maps)), options_(std::move(options)), describe_(std::move(describe)) {}

  bool empty() const { return maps_.empty(); }
  // The tables that are mapped, in the order of their first maps.
  std::vector<std::string> tables() const;
  // Is the table read by a map? Then it is not copied as it is.
  bool maps(const std::string& table) const;
  // Only for a table that is mapped; valid until the relation comes in another shape. Throws Refused where an
  // expression does not compile against it any more.
  MappedTable& table(const Relation& relation);
  // The same, for a table that is described so; nothing of it is kept.
  std::unique_ptr<MappedTable> compile(const SourceTable& described, const Relation& relation) const;
  // The source describes the table in another way from here on.
  void forget(const std::string& table) { tables_.erase(table); }

 private:
  std::vector<MapDefinition> maps_;
  MappingOptions options_;
  Describe describe_;
  std::map<std::string, std::unique_ptr<MappedTable>> tables_;
  std::uint32_t next_id_ = 1u << 30;  // numbers that no relation of a source has
};

}  // namespace tidegate
