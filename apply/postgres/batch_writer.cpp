#include "apply/postgres/batch_writer.hpp"

#include <algorithm>

#include "apply/postgres/row_errors.hpp"
#include "apply/postgres/statements.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

std::vector<postgres::Parameter> closed(std::vector<std::string> arrays) {
  std::vector<postgres::Parameter> parameters;
  for (auto& array : arrays) parameters.emplace_back(std::move(array) + "}");
  return parameters;
}

postgres::Command write_command(const TablePlan& plan, std::vector<std::string> arrays, std::size_t rows) {
  auto parameters = closed(std::move(arrays));
  if (!plan.contributor) return {upsert_sql(plan), std::move(parameters)};
  parameters.emplace_back(std::to_string(rows));
  return {contribute_sql(plan), std::move(parameters)};
}

const ColumnPlan* identity_column(const TablePlan& plan) {
  for (const auto& column : plan.columns) {
    if (column.identity) return &column;
  }
  return nullptr;
}

std::int64_t highest(const TableNet& net, const std::string& source_column,
                     const std::vector<std::size_t>& rows) {
  const auto& columns = net.mapper().relation().columns;
  auto place =
      static_cast<std::size_t>(std::find(columns.begin(), columns.end(), source_column) - columns.begin());
  std::int64_t most = 0;
  for (auto row : rows) {
    if (auto* id = std::get_if<std::int64_t>(&net.rows()[row].row[place])) most = std::max(most, *id);
  }
  return most;
}

}  // namespace

// The commands' parameters for one table, and which of its rows they hold.
struct BatchWriter::Part {
  struct Misfit {
    Reject why;
    bool may_be_in_target;  // not where the target cannot hold its key
  };
  const TableNet* net;
  std::vector<std::size_t> upserts, removes;  // places in net->rows()
  std::vector<std::string> upsert_arrays, remove_arrays;
  std::vector<Misfit> misfits;
  std::vector<std::string> gone;  // source keys of removed rows that the target cannot hold

  const TablePlan& plan() const { return net->mapper().plan(); }
  const Row& row(std::size_t place) const { return net->rows()[place].row; }
};

BatchWriter::BatchWriter(TargetSession& session, Quarantine& quarantine, const Plans& plans, Widen widen)
    : session_(session),
      quarantine_(quarantine),
      references_(session, plans),
      orphans_(session.connection(), session.replica_mode(), plans),
      deferred_(session, quarantine, references_),
      widen_(std::move(widen)) {}

std::vector<BatchWriter::Part> BatchWriter::parts_of(const NetChanges& changes) {
  std::vector<Part> parts;
  for (const auto& net : changes.tables()) {
    Part& part = parts.emplace_back(Part{net.get(), {}, {}, {}, {}, {}, {}});
    const RowMapper& mapper = net->mapper();
    for (std::size_t i = 0; i < net->rows().size(); ++i) {
      const NetRow& row = net->rows()[i];
      Reject why;
      bool fits = row.remove ? mapper.append_key(row.row, part.remove_arrays, why)
                             : mapper.append_row(row.row, part.upsert_arrays, why);
      if (fits) {
        (row.remove ? part.removes : part.upserts).push_back(i);
      } else {
        part.misfits.push_back({std::move(why), true});
      }
    }
    for (const auto& [key, why] : net->unkeyed()) {
      if (why) {
        part.misfits.push_back({*why, false});
      } else {
        part.gone.push_back(key);
      }
    }
  }
  return parts;
}

bool BatchWriter::widen_for(const std::vector<Part>& parts) {
  bool widened = false;
  for (const Part& part : parts) {
    for (const auto& misfit : part.misfits) {
      if (!is_too_narrow(part.plan(), misfit.why)) continue;
      widened |= widen_(part.plan().source, misfit.why.column);
    }
  }
  return widened;
}

// Outside of a long transaction the columns are widened in a transaction of their own: that changes no row.
std::vector<BatchWriter::Part> BatchWriter::parts_after_widening(const NetChanges& changes) {
  auto parts = parts_of(changes);
  bool narrow = widen_ && std::any_of(parts.begin(), parts.end(), [](const Part& part) {
                  return std::any_of(part.misfits.begin(), part.misfits.end(), [&](const auto& misfit) {
                    return is_too_narrow(part.plan(), misfit.why);
                  });
                });
  if (!narrow) return parts;
  if (session_.connection().in_transaction()) return widen_for(parts) ? parts_of(changes) : parts;
  TargetTransaction transaction(session_);
  bool widened = widen_for(parts);
  transaction.commit();
  return widened ? parts_of(changes) : parts;
}

void BatchWriter::hold_misfits(const Part& part, std::uint64_t sequence,
                               std::vector<postgres::Command>& out) {
  for (const auto& misfit : part.misfits) {
    out.push_back(quarantine_.hold(part.plan(), misfit.why, sequence, misfit.may_be_in_target));
  }
  for (const auto& key : part.gone) release(part, key, out);
}

void BatchWriter::release(const Part& part, const std::string& key, std::vector<postgres::Command>& out) {
  if (quarantine_.holds(part.plan().source, key)) out.push_back(quarantine_.release(part.plan().source, key));
}

// A sequence may be ahead already: ids that the source gave out and deleted again are not given out twice.
void BatchWriter::lift_sequence(const Part& part, std::vector<postgres::Command>& out) {
  const ColumnPlan* identity = identity_column(part.plan());
  if (!identity || part.upserts.empty()) return;
  std::int64_t most = highest(*part.net, identity->source, part.upserts);
  if (most <= highest_id_[quoted_name(part.plan())]) return;
  out.push_back(
      {"SELECT pg_catalog.setval(s, $3) FROM pg_catalog.pg_get_serial_sequence($1, $2) AS s"
       " WHERE s IS NOT NULL AND $3 > coalesce(pg_catalog.pg_sequence_last_value(s::pg_catalog.regclass), "
       "0)",
       {quoted_name(part.plan()), identity->target, std::to_string(most)}});
}

// Deletes of all tables first: what they free (a unique value) may be taken by the others.
std::vector<postgres::Command> BatchWriter::commands(const std::vector<Part>& parts, std::uint64_t sequence) {
  std::vector<postgres::Command> out;
  for (const Part& part : parts) {
    if (part.removes.empty()) continue;
    std::vector<std::string> keys = part.remove_arrays;
    for (auto& array : keys) array += '}';
    references_.before_delete(part.plan(), keys, out);
    out.push_back({delete_sql(part.plan()), {keys.begin(), keys.end()}});
  }
  for (bool contributors : {false, true}) {
    for (const Part& part : parts) {
      if (!part.upserts.empty() && part.plan().contributor == contributors)
        out.push_back(write_command(part.plan(), part.upsert_arrays, part.upserts.size()));
    }
  }
  for (const Part& part : parts) {
    hold_misfits(part, sequence, out);
    if (!quarantine_.empty()) {
      for (const auto& places : {part.removes, part.upserts}) {
        for (auto place : places) release(part, part.net->mapper().source_key(part.row(place)), out);
      }
    }
    lift_sequence(part, out);
  }
  return out;
}

void BatchWriter::write(const NetChanges& changes, const Position& to) {
  quarantine_.rolled_back();
  deferred_.forget();
  auto parts = parts_after_widening(changes);
  std::vector<postgres::Command> all{
      {"BEGIN", {}}, session_.enter(), {"SAVEPOINT tidegate_batch", {}}, {check_at_the_end, {}}};
  for (auto& command : commands(parts, to.sequence)) all.push_back(std::move(command));
  all.push_back({check_now, {}});
  all.push_back({"RELEASE SAVEPOINT tidegate_batch", {}});
  all.push_back(session_.advance_to(to));
  failpoint("apply-before-batch");
  try {
    session_.connection().pipeline(all);
  } catch (const Error& error) {
    if (!is_row_error(error)) throw;
    session_.connection().run("ROLLBACK TO SAVEPOINT tidegate_batch");
    session_.connection().run(check_now);
    quarantine_.rolled_back();
    write_carefully(parts, to.sequence);
    settle_and_advance(to);
  }
  remember_sequences(parts);
  hold_orphans(parts, to.sequence);
  commit(to);
}

// Sequences are lifted for good, whatever becomes of the transaction.
void BatchWriter::remember_sequences(const std::vector<Part>& parts) {
  for (const Part& part : parts) {
    const ColumnPlan* identity = identity_column(part.plan());
    if (!identity) continue;
    std::int64_t& reached = highest_id_[quoted_name(part.plan())];
    reached = std::max(reached, highest(*part.net, identity->source, part.upserts));
  }
}

void BatchWriter::begin_long() {
  quarantine_.rolled_back();
  deferred_.forget();
  session_.connection().pipeline({{"BEGIN", {}}, session_.enter(), {check_now, {}}});
}

void BatchWriter::add(const NetChanges& changes, std::uint64_t sequence) {
  auto parts = parts_after_widening(changes);
  forget_older(parts);
  auto& target = session_.connection();
  auto before = quarantine_.pending();
  auto error = attempt(target, [&] { target.pipeline(commands(parts, sequence)); });
  if (error) {
    quarantine_.restore(std::move(before));
    write_carefully(parts, sequence);
  }
  remember_sequences(parts);
  hold_orphans(parts, sequence);
  failpoint("apply-in-long-transaction");
}

// A row that waits and comes again is what it is now.
void BatchWriter::forget_older(const std::vector<Part>& parts) {
  if (deferred_.empty()) return;
  for (const Part& part : parts) {
    for (const NetRow& row : part.net->rows()) deferred_.forget(part.net->mapper(), row.row);
  }
}

void BatchWriter::commit_long(const Position& to) {
  settle_and_advance(to);
  commit(to);
}

void BatchWriter::settle_and_advance(const Position& to) {
  deferred_.settle();
  session_.connection().pipeline({session_.advance_to(to)});
}

void BatchWriter::hold_orphans(const std::vector<Part>& parts, std::uint64_t sequence) {
  for (const Part& part : parts) {
    if (!orphans_.watches(part.plan())) continue;
    std::vector<Reject> written;
    for (auto place : part.upserts) written.push_back(part.net->mapper().reject(part.row(place)));
    orphans_.hold_orphans(session_.connection(), quarantine_, part.plan(), written, sequence);
  }
  for (const Part& part : parts) {
    if (part.removes.empty() || !orphans_.is_parent(part.plan())) continue;
    std::vector<Reject> removed;
    for (auto place : part.removes) removed.push_back(part.net->mapper().reject(part.row(place)));
    orphans_.take_out_children(session_.connection(), quarantine_, part.plan(), removed, sequence);
  }
}

void BatchWriter::commit(const Position& to) {
  failpoint("apply-before-commit");
  postgres::commit(session_.connection());
  failpoint("apply-after-commit");
  session_.moved(to);
  quarantine_.committed();
}

void BatchWriter::write_carefully(const std::vector<Part>& parts, std::uint64_t sequence) {
  std::vector<postgres::Command> first, last;
  for (const Part& part : parts) hold_misfits(part, sequence, first);
  session_.connection().pipeline(first);
  for (const Part& part : parts) delete_carefully(part, sequence);
  for (bool contributors : {false, true}) {
    for (const Part& part : parts) {
      if (part.plan().contributor == contributors) upsert_carefully(part, sequence);
    }
  }
  for (const Part& part : parts) lift_sequence(part, last);
  session_.connection().pipeline(last);
}

void BatchWriter::delete_carefully(const Part& part, std::uint64_t sequence) {
  const RowMapper& mapper = part.net->mapper();
  bisect(
      session_.connection(), 0, part.removes.size(),
      [&](std::size_t first, std::size_t last) {
        std::vector<std::string> keys;
        Reject why;
        for (auto i = first; i < last; ++i) mapper.append_key(part.row(part.removes[i]), keys, why);
        for (auto& array : keys) array += '}';
        std::vector<postgres::Command> commands;
        references_.before_delete(part.plan(), keys, commands);
        commands.push_back({delete_sql(part.plan()), {keys.begin(), keys.end()}});
        write_and_release(part, part.removes, first, last, commands);
      },
      [&](std::size_t i, const Error& error) {
        const NetRow& row = part.net->rows()[part.removes[i]];
        if (DeferredRows::may_succeed_later(error) && deferred_.add(mapper, row, sequence, error)) return;
        Reject why = rejected_by_target(error, mapper.reject(row.row));
        session_.connection().pipeline({quarantine_.hold(part.plan(), why, sequence, true)});
      });
}

void BatchWriter::upsert_carefully(const Part& part, std::uint64_t sequence) {
  const RowMapper& mapper = part.net->mapper();
  bisect(
      session_.connection(), 0, part.upserts.size(),
      [&](std::size_t first, std::size_t last) {
        std::vector<std::string> arrays;
        Reject why;
        for (auto i = first; i < last; ++i) mapper.append_row(part.row(part.upserts[i]), arrays, why);
        write_and_release(part, part.upserts, first, last,
                          {write_command(part.plan(), std::move(arrays), last - first)});
      },
      [&](std::size_t i, const Error& error) {
        const NetRow& row = part.net->rows()[part.upserts[i]];
        if (DeferredRows::may_succeed_later(error) && deferred_.add(mapper, row, sequence, error)) return;
        Reject why = rejected_by_target(error, mapper.reject(row.row));
        session_.connection().pipeline({quarantine_.hold(part.plan(), why, sequence, true)});
      });
}

// Rows that the target takes leave the quarantine; those that it refuses have never left it.
void BatchWriter::write_and_release(const Part& part, const std::vector<std::size_t>& places,
                                    std::size_t first, std::size_t last,
                                    const std::vector<postgres::Command>& commands) {
  session_.connection().pipeline(commands);
  if (quarantine_.empty()) return;
  std::vector<postgres::Command> releases;
  for (auto i = first; i < last; ++i) {
    release(part, part.net->mapper().source_key(part.row(places[i])), releases);
  }
  session_.connection().pipeline(releases);
}

}  // namespace tidegate
