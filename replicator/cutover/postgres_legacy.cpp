// A legacy Postgres database: held by one LOCK statement, fenced by triggers that let replica mode pass, with
// tidegate's account beside them (apply/postgres/legacy_side.hpp).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "apply/postgres/legacy_side.hpp"
#include "apply/postgres/refusals.hpp"
#include "apply/postgres/target_cleaning.hpp"
#include "apply/postgres/target_closing.hpp"
#include "apply/postgres/target_tables.hpp"
#include "capture/postgres/publication.hpp"
#include "capture/postgres/slot.hpp"
#include "capture/postgres/watch.hpp"
#include "db/failpoint.hpp"
#include "replicator/cutover/back_plans.hpp"
#include "replicator/cutover/legacy.hpp"
#include "replicator/cutover/parts.hpp"
#include "replicator/cutover/postgres_way_back.hpp"
#include "replicator/failure.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/schema_drift.hpp"
#include "replicator/pipeline/sequence_ends.hpp"
#include "replicator/server_access.hpp"

namespace tidegate::cutover {
namespace {

using namespace std::chrono_literals;
using Level = Finding::Level;

constexpr auto settle_time = 30s;  // for an earlier hold to end
constexpr auto open_time = 2s;     // for the tables' locks: whoever reads waits behind us
constexpr auto long_transaction = 2s, on_target_time = 10s;

std::string names_of(const std::vector<TablePlan>& plans) {
  std::string names = "{";
  for (const auto& plan : plans)
    names += (names.size() > 1 ? "," : "") + fmt::format("\"{}.{}\"", plan.schema, plan.target);
  return names + "}";
}

std::vector<std::string> first_column(const postgres::Result& rows) {
  std::vector<std::string> texts;
  for (int i = 0; i < rows.rows(); ++i) texts.emplace_back(rows.text(i, 0));
  return texts;
}

std::vector<std::string> sources_of(const std::vector<TablePlan>& back) {
  std::vector<std::string> names;
  for (const auto& plan : back) names.push_back(plan.schema + "." + plan.target);
  return names;
}

// Sessions of roles that may write to one of the tables; ours go by their name. Where another role's session
// comes from the server tells members of that role and of pg_read_all_stats only.
constexpr const char* users_sql = R"sql(
SELECT coalesce(nullif(a.application_name, ''), a.usename) || ' (pid ' || a.pid || ', role ' || a.usename ||
  coalesce(', from ' || pg_catalog.host(a.client_addr), '') || ')'
FROM pg_catalog.pg_stat_activity AS a
WHERE a.datname = pg_catalog.current_database() AND a.usesysid IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid()
  AND a.application_name NOT LIKE 'tidegate %'
  AND EXISTS (SELECT FROM pg_catalog.unnest($1::text[]) AS t(name)
    JOIN pg_catalog.pg_namespace AS n ON t.name LIKE n.nspname || '.%'
    JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND n.nspname || '.' || c.relname = t.name
    WHERE pg_catalog.has_table_privilege(a.usesysid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))
ORDER BY a.pid)sql";

class PostgresLegacy : public Legacy {
 public:
  explicit PostgresLegacy(const Settings& settings) : settings_(settings), look_(settings) {}

  Says says(bool intended) override {
    return look_([&](postgres::Connection& legacy) {
      const auto& pipeline = settings_.pipeline;
      const auto says =
          intended ? settle_target(legacy, pipeline, settle_time) : ask_target(legacy, pipeline);
      if (intended) failpoint("legacy-settled");
      return Says{!says.is_live, says.run};
    });
  }

  std::vector<Finding> examine(const Parts&, const Order&) override {
    std::vector<Finding> findings;
    try {
      if (const auto now = says(false); !now.is_live)
        findings.push_back({Level::block, "half-done", "", "",
                            "the source is fenced by run " + now.run + ", and no cutover says so",
                            "change nothing; `tidegate explain half-done` says how to find out which side "
                            "has the newest rows"});
      const auto back = plans();
      look_([&](postgres::Connection& legacy) {
        fenceable(legacy, back, findings);
        sequences(legacy, back, findings);
        for (const auto& one : in_the_way_of_a_hold(legacy, back, long_transaction))
          findings.push_back({Level::block, "source-held", "", "",
                              "a transaction of the source would keep the hold waiting: " + one,
                              "let it end, or end it: SELECT pg_terminate_backend(PID), ROLLBACK PREPARED"});
        for (const auto& user : users_of(legacy, back))
          findings.push_back({Level::note, "source-open-by", "", "", user + " is connected to the source",
                              "after the cutover it must use the target"});
        return 0;
      });
    } catch (const std::exception& failure) {
      const bool refused = dynamic_cast<const Refused*>(&failure) != nullptr;
      const Told why = told(failure);
      findings.push_back({Level::block, refused ? why.code : "source-unreachable", "", "", why.message,
                          refused ? why.mend : "look at `tidegate status`"});
    }
    return findings;
  }

  // The mark is taken first: what changes after it is seen within the hold.
  void prepare(Parts& parts) override {
    back_ = plans();
    look_([&](postgres::Connection& legacy) {
      mark_ = capture::catalog_mark(legacy);
      tables_ = capture::read_catalog(legacy, sources_of(back_), {});
      return 0;
    });
    auto what = std::make_shared<std::string>();
    auto compare = [what](SourceView& view, const TargetScene& scene) {
      *what = view.schema_difference(scene);
    };
    if (!on_target(parts, compare, Clock::now() + on_target_time))
      throw Error("the target did not answer in time", "", Advice::retry);
    if (!what->empty()) throw Error("the source's schema has changed: " + *what, "", Advice::stop);
  }

  Hold::Options what_to_hold() override {
    Hold::Options options;
    options.kind = Hold::Options::Kind::postgres;
    options.where = source_options(settings_, "").url;
    options.lock_sql = hold_request(settings_.pipeline, back_);
    return options;
  }
  bool has_shadow() const override { return false; }

  void hand_over_ids(SourceView&, const TargetScene& scene) override {
    std::vector<TablePlan> plans, made;
    for (const auto& [name, plan] : scene.plans) (plan.from.empty() ? plans : made).push_back(plan);
    const auto values =
        look_([&](postgres::Connection& legacy) { return capture::read_sequences(legacy, tables_); });
    set_sequences_exactly(scene.session.connection(), sequence_ends(values, plans));
    scene.tables.set_mapped_sequences(made);
  }

  // Under the lock nobody alters these tables any more. The mark alone also tells of others' temporary ones.
  void require_same_schema() override {
    look_([&](postgres::Connection& legacy) {
      if (capture::catalog_mark(legacy) == mark_) return 0;
      auto now = capture::read_catalog(legacy, sources_of(back_), {});
      bool same = now.size() == tables_.size();
      for (std::size_t i = 0; same && i < now.size(); ++i)
        same = standing(tables_[i], &now[i]).kind == Standing::Kind::same;
      if (!same) throw Error("the source's schema was changed just before the hold", "", Advice::retry);
      return 0;
    });
  }

  std::string fence_sql(const Run& run) override {
    const Position start = run.way_back_start.empty() ? Position{} : parse_start(run.way_back_start);
    return look_([&](postgres::Connection& legacy) {
      return fence_legacy_sql(legacy, settings_.pipeline, back_, start, run.id);
    });
  }

  void open(const std::string& run) override {
    auto legacy = connect_source(source_options(settings_, "tidegate rollback"));
    open_legacy_side(legacy, settings_.pipeline, run, open_time);
  }

  std::vector<std::string> unfenced() override {
    return look_([&](postgres::Connection& legacy) {
      auto open = unfenced_targets(legacy, plans_there(legacy));
      open.ours.insert(open.ours.end(), open.of_others.begin(), open.of_others.end());
      return open.ours;
    });
  }

  std::vector<std::string> users(long) override {
    return look_([&](postgres::Connection& legacy) { return users_of(legacy, plans_there(legacy)); });
  }

  std::optional<std::uint64_t> refused_writes() override {
    return look_([&](postgres::Connection& legacy) { return refusals(legacy, settings_.pipeline); });
  }

  // What cannot be mended now is reported all the time, and mended by a later start.
  void mend_fence(const std::string& run) override {
    try {
      const auto open = unfenced();
      if (const auto now = says(false); open.empty() || now.is_live || now.run != run) return;
      log_warn("the fence of the old database is mended: {}", fmt::join(open, ", "));
      auto legacy = connect_source(source_options(settings_, "tidegate fence"));
      mend_legacy_fence(legacy, settings_.pipeline, open_time);
    } catch (const std::exception& failure) {
      log_warn("the fence of the old database could not be looked at: {}", failure.what());
    }
  }

  std::vector<std::string> in_the_way_of_opening() override {
    return look_([&](postgres::Connection& legacy) {
      return in_the_way_of_a_hold(legacy, plans_there(legacy), long_transaction);
    });
  }

  // The slot goes first: it keeps the server's log.
  void clean(const std::string&, const std::function<void(const std::string&)>& said) override {
    const auto options = source_options(settings_, "tidegate finalize");
    drop_slot(options, slot_name(settings_));
    failpoint("finalize-legacy-slot-gone");
    auto legacy = connect_source(options);
    capture::drop_publication(legacy, publication_name(settings_));
    failpoint("finalize-legacy-publication-gone");
    clean_target(legacy, settings_.pipeline);
    failpoint("finalize-legacy-server-clean");
    said("the legacy database has no fence, no slot, no publication and no schema of tidegate any more");
  }

 private:
  std::vector<TablePlan> plans() {
    auto target = connect_target(connect_options(settings_, "tidegate look"));
    return look_([&](postgres::Connection& legacy) { return plans_back(target, legacy, settings_).plans; });
  }

  // Those of the last fence; none where there has been none, or no more.
  std::vector<TablePlan> plans_there(postgres::Connection& legacy) const {
    if (!legacy.run("SELECT pg_catalog.to_regclass('tidegate.tables') IS NOT NULL").boolean(0, 0)) return {};
    return recorded_plans(legacy, settings_.pipeline);
  }

  static std::vector<std::string> users_of(postgres::Connection& legacy, const std::vector<TablePlan>& back) {
    return first_column(legacy.run(users_sql, {names_of(back)}));
  }

  // After the cutover the target gives out the ids.
  void sequences(postgres::Connection& legacy, const std::vector<TablePlan>& back,
                 std::vector<Finding>& findings) const {
    auto target = connect_target(connect_options(settings_, "tidegate look"));
    for (auto& finding :
         sequence_findings(legacy, target, capture::read_catalog(legacy, sources_of(back), {}),
                           recorded_plans(target, settings_.pipeline), "source", "target"))
      findings.push_back(std::move(finding));
  }

  static void fenceable(postgres::Connection& legacy, const std::vector<TablePlan>& back,
                        std::vector<Finding>& findings) {
    const auto others = unfenced_targets(legacy, back).of_others;
    if (!others.empty())
      findings.push_back({Level::block, "source-not-fenceable", "", "",
                          fmt::format("the source's tables {} are another role's: tidegate could not fence "
                                      "them",
                                      fmt::join(others, ", ")),
                          "make tidegate's role a member of the owner: GRANT owner TO role"});
    const bool may_create =
        legacy
            .run(
                "SELECT pg_catalog.to_regnamespace('tidegate') IS NOT NULL OR "
                "pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')")
            .boolean(0, 0);
    if (!may_create)
      findings.push_back({Level::block, "source-not-fenceable", "", "",
                          "tidegate's role may not make a schema in the source's database, where the fence "
                          "keeps its account",
                          "GRANT CREATE ON DATABASE name TO role"});
  }

  const Settings& settings_;
  SourceLook look_;
  // Of prepare():
  std::vector<TablePlan> back_;
  std::vector<capture::PostgresTable> tables_;
  std::string mark_;
};

}  // namespace

std::unique_ptr<Legacy> make_postgres_legacy(const Settings& settings) {
  return std::make_unique<PostgresLegacy>(settings);
}

}  // namespace tidegate::cutover
