// One mapped relation against the target: whichever database the source is. README, "Through a mapping".
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apply/mapping/mapping.hpp"
#include "apply/net_changes.hpp"
#include "replicator/config/settings.hpp"
#include "replicator/verify/mapped_lines.hpp"
#include "replicator/verify/request.hpp"

namespace tidegate::verify {

// The plans of a source's table that a request asks for, by the table's name, that of a mapped relation, or
// the target's.
std::vector<const TablePlan*> plans_of(const Plans& plans, const std::string& table, const Request& request);

// Rows of tables with several owners that none of them says are its own: the pipeline leaves them alone.
std::vector<Remark> rows_of_nobody(postgres::Connection& target, const Plans& all, const Plans& compared);

class MappedComparison {
 public:
  // What it works with; all of it outlives the comparison.
  struct Scene {
    const Settings& settings;
    const std::vector<MapDefinition>& maps;
    std::shared_ptr<KeyAnswers> keys;  // as they were at the position
    const TargetState& state;
    Speller& speller;
    postgres::Connection& target;  // in the snapshot
    std::function<void(std::uint64_t rows)> compared;
  };
  // `relation`: as the rows come. Throws Refused where the maps do not compile against it any more.
  MappedComparison(const Scene& scene, const TablePlan& plan, const SourceTable& table,
                   const Relation& relation);

  const Relation& source() const { return mapped_->source(); }
  // What `request` asks for.
  void run(SourceRows& rows, const Request& request, Findings& findings);

 private:
  using Leftover = std::function<std::vector<std::string>(const std::vector<std::string_view>&)>;
  void compare(SourceRows& rows, Findings& findings);
  void name_versions(Findings& findings);
  void sample(SourceRows& rows, std::uint64_t count, Findings& findings);
  void count(SourceRows& rows, Findings& findings);
  const Held& held() const;
  Leftover leftover();
  std::vector<std::size_t> columns_alone() const;

  Scene scene_;
  const TablePlan& plan_;
  std::unique_ptr<MappedTable> mapped_;
  std::unique_ptr<RowMapper> mapper_;
  RowOrder order_;
};

}  // namespace tidegate::verify
