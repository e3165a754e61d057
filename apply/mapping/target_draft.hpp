// The DDL of the tables that maps fill, as far as the mapping and the source say it: a draft, to be read and
// completed by a person. Pure.
#pragma once

#include <vector>

#include "apply/mapping/definition.hpp"
#include "apply/postgres/target_fit.hpp"
#include "apply/schema/ddl.hpp"

namespace tidegate {

// Tables with their keys, and the enums that `types` names, with the labels that expressions and CHECKs of
// the source spell out. A column that is passed on has its type on the target were it not mapped; one that an
// expression fills has the type of its outermost function, else text with a comment that says so. Row level
// security is on; policies are the operator's. A column that names a row of another table has a foreign key
// where that is certain (draft_references), else a comment. Supabase's own tables (schemas auth, storage,
// realtime) are left out. `sources`: the tables that maps read. `printed`: they are a Postgres server's.
Ddl draft_tables(const std::vector<MapDefinition>& maps, const std::vector<MeasuredTable>& sources,
                 const PlanOptions& options, bool printed);

}  // namespace tidegate
