// Which columns of mapped tables name a row of another one, from the words of the mapping and the source's
// foreign keys. Pure.
#pragma once

#include <string>
#include <vector>

#include "apply/mapping/definition.hpp"
#include "proto/table.hpp"

namespace tidegate {

struct DraftReference {
  std::string schema, table, column;
  std::string parent_schema, parent_table, parent_column;
  std::string on_delete;  // as SourceForeignKey has it
  // Each row has its parent: both are made of the same source row under the same conditions, or the source
  // has a foreign key for it and no parent is left out. Else it is for a person to say.
  bool certain = false;
};

// A column that is made as the only key column of a table is made: by uuid() or surrogate() of the same
// entity and words, or, where the source says that it refers, passed on as it is. Of several tables with such
// a key the first of the file is the parent; a table's own key refers to tables before it only. A column that
// several maps fill refers where all of them say the same.
std::vector<DraftReference> draft_references(const std::vector<MapDefinition>& maps,
                                             const std::vector<SourceTable>& sources);

}  // namespace tidegate
