// The legacy database as one end of a cutover: what is asked of it, held, fenced and opened. A SQLite file or
// a Postgres database.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apply/plan.hpp"
#include "replicator/config/settings.hpp"
#include "replicator/cutover/hold.hpp"
#include "replicator/cutover/machine.hpp"
#include "replicator/pipeline/source_view.hpp"

namespace tidegate::cutover {

struct Order;
struct Parts;

// Calls may throw Error, or what failure.hpp tells, where the database is away.
class Legacy {
 public:
  virtual ~Legacy() = default;

  // Whether it is live, and by which run. `intended`: a process that was killed may have fenced it; that is
  // settled first, for good. Throws Error (retry) where such a process has not ended.
  virtual Says says(bool intended) = 0;

  // GUARD of a cutover: why it could not be held and fenced, and who has it open.
  virtual std::vector<Finding> examine(const Parts& parts, const Order& order) = 0;
  // For a rehearsal where a hold may make writes fail: transactions that were committed, as a counter of 32
  // bits, and programs that have one open. Absent and empty where it cannot be seen, or no write can fail.
  virtual std::optional<std::uint32_t> commits() { return std::nullopt; }
  virtual std::vector<std::string> in_transaction() { return {}; }
  // PREPARE: what would take too long within the hold.
  virtual void prepare(Parts& parts) = 0;
  // What is held, but for max-hold and the hook.
  virtual Hold::Options what_to_hold() = 0;
  // Capture keeps a copy that can be compared with every row.
  virtual bool has_shadow() const = 0;
  // PROVE, within the hold, on the apply thread: the target's ids go on exactly behind what was given out
  // here.
  virtual void hand_over_ids(SourceView& view, const TargetScene& scene) = 0;
  // PROVE: throws Error (retry) where the schema is not the one of prepare() any more.
  virtual void require_same_schema() = 0;
  // The statements that fence it, for the transaction that holds it.
  virtual std::string fence_sql(const Run& run) = 0;

  // OPEN of a rollback. Can be repeated; throws Error (retry) where it could not be done in time.
  virtual void open(const std::string& run) = 0;

  // While the target is live: tables that take writes all the same, programs that could write
  // ("flask (pid 71)", of a server with role and address too; but for the one of this pid), writes that the
  // fence has refused since it was made (absent where they cannot be counted), and the fence made whole
  // again.
  virtual std::vector<std::string> unfenced() = 0;
  virtual std::vector<std::string> users(long without_pid) = 0;
  virtual std::optional<std::uint64_t> refused_writes() { return std::nullopt; }
  virtual void mend_fence(const std::string& run) = 0;
  // GUARD of a rollback: transactions that open() would wait for.
  virtual std::vector<std::string> in_the_way_of_opening() { return {}; }

  // finalize: all that tidegate has made there goes. `journal_mode`: as the first run found it. What was done
  // is told. Can be repeated.
  virtual void clean(const std::string& journal_mode,
                     const std::function<void(const std::string&)>& said) = 0;
};

std::unique_ptr<Legacy> make_legacy(const Settings& settings);
std::unique_ptr<Legacy> make_sqlite_legacy(const Settings& settings);
std::unique_ptr<Legacy> make_postgres_legacy(const Settings& settings);

}  // namespace tidegate::cutover
