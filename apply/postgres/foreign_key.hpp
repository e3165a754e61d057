// A foreign key of a target table, as the questions about its rows need it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apply/mapping/row_mapper.hpp"
#include "apply/postgres/known_parents.hpp"
#include "db/postgres.hpp"

namespace tidegate {

struct ForeignKey {
  struct Column {
    std::string name, parent_name, type, parent_type;
  };
  // The parents that rows name, each once and without those that are known: an array literal for each column.
  struct Parents {
    std::vector<postgres::Parameter> arrays;
    std::vector<std::string> names;
  };

  std::string constraint, parent;  // the parent as quoted_name() writes it
  std::vector<Column> columns;

  // Equal for references by columns of the same types to the same columns: what KnownParents knows rows by.
  std::string domain() const;
  // Rows that were written name themselves as those that refer to them would.
  bool is_named_alike() const;
  std::vector<std::string> names_of_parents(const RowMapper& parent,
                                            const std::vector<const Row*>& rows) const;
  // Those of one table, which is named as SQL writes it.
  static std::vector<ForeignKey> of(postgres::Connection& target, const std::string& table);

  // A condition on a row of the referring table; `row`: "t."
  std::string is_orphan(const std::string& row) const;
  // Nothing where the plan does not fill all of the columns. A row with a NULL in one of them names no
  // parent.
  std::optional<Parents> parents_of(const RowMapper& mapper, const std::vector<const Row*>& rows,
                                    const KnownParents* known) const;
  // Of such arrays: is one of the parents not there?
  std::string missing_sql() const;
};

}  // namespace tidegate
