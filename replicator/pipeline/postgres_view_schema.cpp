// How the target follows what becomes of the source's tables, partitions and types.
#include <algorithm>

#include "apply/postgres/row_errors.hpp"
#include "capture/postgres/publication.hpp"
#include "replicator/log.hpp"
#include "replicator/pipeline/ddl_store.hpp"
#include "replicator/pipeline/mapped_standing.hpp"
#include "replicator/pipeline/new_shape.hpp"
#include "replicator/pipeline/planning.hpp"
#include "replicator/pipeline/postgres_view.hpp"
#include "replicator/pipeline/schema_drift.hpp"

namespace tidegate {

std::string PostgresView::schema_difference(const TargetScene& scene) {
  std::vector<std::string> names;
  for (const auto& [name, plan] : scene.plans) names.push_back(plan.source_table());
  const auto now = capture::read_catalog(source(), names, {});
  for (const auto& name : names) {
    const auto known = source_.schema->known(name);
    const auto there =
        std::find_if(now.begin(), now.end(), [&](const auto& table) { return table.source == name; });
    if (!known || there == now.end()) return "table " + name + " is not the one that was copied";
    if (standing(source_.schema->maps(), *known, &*there).kind != Standing::Kind::same)
      return "table " + name + " was altered, and the target has not followed";
  }
  if (!source_.schema->follows(capture::read_enums(source(), source_.tables.all())))
    return "labels of an enum came or were renamed, and the target has not followed";
  return "";
}

void PostgresView::publish(capture::PostgresTable& table) {
  const capture::PublicationOptions options{source_.settings.source.postgres.set_identity_full};
  if (capture::add_to_publication(source(), publication_name(source_.settings), table, options))
    log_warn("table {} has REPLICA IDENTITY FULL now", table.source);
}

capture::PostgresTable PostgresView::table_now(const std::string& name) {
  auto found = capture::read_catalog(source(), {name}, {});
  if (found.size() == 1) return found.front();
  throw Refused("table-gone", "table " + name + " is not at the source any more",
                "leave it out of a new pipeline, or make it again");
}

// The change may not have reached the stream yet; what the watch knew of the table before is what the target
// has.
NewShape PostgresView::shape_now(const TargetScene& scene, const TablePlan& plan) {
  auto found = table_now(plan.source);
  auto known = source_.schema->known(plan.source);
  // Columns that others made keep their types.
  bool ours = source_.settings.target.schema == TargetSchema::create;
  NewShape shape = new_shape(ours && known ? *known : found, found, plan);
  for (const auto& column : columns_that_went(plan, found)) {
    bool there = scene.session.connection()
                     .run(
                         "SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = "
                         "$1::pg_catalog.regclass AND attname = $2 AND NOT attisdropped)",
                         {quoted_name(plan), column})
                     .boolean(0, 0);
    if (!there) continue;
    throw Refused("column-gone",
                  "column " + column + " of table " + plan.source + " is not at the source any more",
                  "drop or rename it on the target too, then: tidegate resync " + plan.source);
  }
  publish(found);
  seen_ = found;
  return shape;
}

// What the stream says before the marker may be of a shape that the maps cannot read: it is left out.
void PostgresView::meet_shape(const TargetScene& scene, const std::string& name,
                              const std::function<void()>& apply_once) {
  auto found = table_now(name);
  const auto described = capture::as_source_table(found);
  check_keys(*scene.mapping.compile(described, relation_of(described, true)), described);
  publish(found);
  bring_stream_here(scene, apply_once);
  const auto now = table_now(name);
  if (pace_.stopped() || capture::fingerprint(now) != capture::fingerprint(found))
    throw Refused("schema-changed", "table " + name + " is being altered just now", "try again in a moment");
  seen_ = now;
}

// Its objects are among those to build before the table is made, so that no crash comes between; what is not
// recorded as made by us is not built.
NewTable PostgresView::new_table(const TargetScene& scene, const std::string& name) {
  if (source_.settings.target.schema == TargetSchema::existing) {
    throw Refused("schema-existing", "the target's tables are made by others",
                  "make it there, and begin a new pipeline with it");
  }
  auto found = capture::read_catalog(source(), {name}, {});
  if (found.size() != 1) throw Refused("table-gone", "it is not at the source any more", "");
  auto others = source_.tables.all();
  std::erase_if(others,
                [&](const auto& each) { return each.source == name || !scene.plans.contains(each.source); });
  auto planned = plan_new_table(source_.settings, others, found.front());
  refuse_blocking(planned.findings);
  auto& objects = source_.ddl.after_load;
  std::erase_if(objects, [&](const DdlObject& object) { return object.table == name; });
  objects.insert(objects.end(), planned.ddl.after_load.begin(), planned.ddl.after_load.end());
  source_.store->set_fact("native_ddl", ddl_to_json(source_.ddl));
  publish(found.front());
  seen_ = found.front();
  return {planned.plans.front(), planned.ddl};
}

// The target may have had one by this name, or have its own: what it refuses is reported when a row comes for
// it.
std::vector<std::string> PostgresView::make_partitions(const TargetScene& scene) {
  std::vector<std::string> roots;
  for (const auto& [root, file] : source_.schema->take_new_partitions()) {
    if (!scene.plans.contains(root)) continue;
    auto statement = capture::partition_statement(source(), file.oid);
    if (!statement) continue;
    TargetTransaction transaction(scene.session);
    bool made = attempt_ddl(scene.session.connection(), *statement);
    transaction.commit();
    std::string name = file.schema + "." + file.name;
    if (made) {
      log_info("partition {} was made on the target", name);
      roots.push_back(root);
    } else {
      source_.coordination.report(
          "table-not-replicated",
          "partition " + name +
              " came to the source and could not be made on the target: its rows go to "
              "the quarantine until the target has one for them",
          root);
    }
  }
  return roots;
}

bool PostgresView::carry_out(const TargetScene& scene, const EnumChange& change) {
  std::string message = "type " + change.type + " of the source " + change.what;
  if (carries_types()) {
    TargetTransaction transaction(scene.session);
    bool done = attempt_ddl(scene.session.connection(), change.statement);
    transaction.commit();
    if (done) log_warn("{}; the target follows", message);
    if (done) return true;
  }
  source_.coordination.report("enum-changed", message + ": run on the target: " + change.statement +
                                                  "; then: tidegate quarantine retry --all");
  return false;
}

std::vector<std::string> PostgresView::tables_to_copy(const SchemaWatch::EnumsChanged& changed) const {
  std::vector<std::string> names;
  for (const auto& type : changed.now) {
    auto before = std::find_if(changed.before.begin(), changed.before.end(), [&](const auto& each) {
      return each.schema == type.schema && each.name == type.name;
    });
    if (before == changed.before.end() || !names_were_handed_on(*before, type)) continue;
    for (const auto& table : source_.tables.all()) {
      if (std::find(type.tables.begin(), type.tables.end(), table.oid) != type.tables.end())
        names.push_back(table.source);
    }
  }
  return names;
}

// Rows with a label's old name that are still under way must be there before the target knows only the new
// one; what the stream brings until then is described by what the labels are after it. What only an operator
// can do is looked at again until it is done. A crash at any place leaves what is done again.
bool PostgresView::follow_enums(const TargetScene& scene, const std::function<void()>& apply_once,
                                const std::function<void(const std::string&)>& copy_again) {
  auto changed = source_.schema->enums_changed();
  auto now = std::chrono::steady_clock::now();
  if (!changed || now - enums_seen_ < source_.settings.source.postgres.schema_poll) return false;
  enums_seen_ = now;
  if (carries_types()) {
    bring_stream_here(scene, apply_once);
    if (pace_.stopped()) return false;
    changed->now = capture::read_enums(source(), source_.tables.all());
  }
  source_.coordination.clear_report("enum-changed");
  auto there = capture::read_enums_like(scene.session.connection(), changed->now);
  bool any = false, all = true;
  for (const auto& change : enum_changes(changed->before, changed->now, there)) {
    const bool done = carry_out(scene, change);
    any |= done;
    all &= done;
  }
  if (!all) return any;
  for (const auto& table : tables_to_copy(*changed)) copy_again(table);
  source_.schema->enums_followed(changed->now);
  return any;
}

void PostgresView::accept_shape(const std::string& table) {
  if (seen_ && seen_->source == table) source_.schema->accept(*seen_);
}

}  // namespace tidegate
