#include "replicator/pipeline/row_search.hpp"

#include <optional>

#include "apply/mapping/mapped_table.hpp"
#include "apply/mapping/row_mapper.hpp"
#include "replicator/pipeline/mapping_setup.hpp"

namespace tidegate {
std::vector<Row> source_keys_of(const Settings& settings, const TablePlan& plan, const SourceTable& table,
                                const Relation& relation, const TargetKeys& keys, const ReadAll& read_all) {
  const auto maps = maps_of(settings);
  MappedTable mapped(std::vector{output_named(maps, plan)}, table, relation,
                     mapping_options(settings, remembered_keys(settings)), 0);
  const RowMapper mapper(plan, mapped.relation(0));
  std::vector<std::optional<Row>> made;
  std::vector<Row> found;
  read_all([&](const Row& row) {
    mapped.map_row(row, made);
    if (!made.front()) return;
    const Reject named = mapper.reject(*made.front());
    if (keys.contains(named.target_key)) found.push_back(decode_row(named.key_bytes));
  });
  return found;
}

}  // namespace tidegate
