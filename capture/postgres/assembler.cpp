#include "capture/postgres/assembler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "db/error.hpp"

namespace tidegate {
namespace {

[[noreturn]] void out_of_order(std::string_view what) {
  throw Error(fmt::format("the change stream is out of order: {}", what), "08P01", Advice::stop);
}

bool identifies(const RelationShape& shape, std::size_t place) {
  return (shape.identity == 'd' || shape.identity == 'i') && shape.columns[place].key;
}

void check_width(const RelationShape& shape, const Row& row) {
  if (row.size() == shape.columns.size()) return;
  out_of_order(fmt::format("a row of {} values for the {} columns of table {}", row.size(),
                           shape.columns.size(), shape.table));
}

void check_old(const RelationShape& shape, const pgoutput::Tuple& old) {
  check_width(shape, old.values);
  if (!old.unchanged.empty()) out_of_order("an old row that lacks values, of table " + shape.table);
}

bool is_named(const RelationShape& shape, const Row& old) {
  for (std::size_t place = 0; place < old.size(); ++place) {
    if (identifies(shape, place) && std::holds_alternative<Null>(old[place])) return false;
  }
  return true;
}

bool same_key(const RelationShape& shape, const Row& a, const Row& b) {
  for (std::size_t place = 0; place < a.size(); ++place) {
    if (identifies(shape, place) && !identical(a[place], b[place])) return false;
  }
  return true;
}

// What was not sent with the new row may have been sent with the old one.
void complete_from_old(const RelationShape& shape, const pgoutput::OldTuple& old, Change& change) {
  auto missing = [&](std::uint32_t place) {
    if (!old.whole && !identifies(shape, place)) return true;
    change.row[place] = old.tuple.values[place];
    return false;
  };
  std::vector<std::uint32_t> left;
  std::copy_if(change.absent.begin(), change.absent.end(), std::back_inserter(left), missing);
  change.absent = std::move(left);
}

Change update_of(const RelationShape& shape, pgoutput::Update&& update) {
  Change change;
  change.operation = Operation::update;
  check_width(shape, update.row.values);
  change.row = std::move(update.row.values);
  change.absent = std::move(update.row.unchanged);
  if (!update.old) return change;
  check_old(shape, update.old->tuple);
  complete_from_old(shape, *update.old, change);
  if (update.old->whole || !same_key(shape, change.row, update.old->tuple.values)) {
    change.before = std::move(update.old->tuple.values);
  }
  return change;
}

RelationShape shape_of(pgoutput::Relation&& relation) {
  return {relation.oid, relation.schema + "." + relation.table, relation.identity,
          std::move(relation.columns)};
}

}  // namespace

std::string encode(const RelationShape& shape) {
  Row row{static_cast<std::int64_t>(shape.oid), shape.table, std::string(1, shape.identity)};
  for (const auto& column : shape.columns) {
    row.emplace_back(column.name);
    row.emplace_back(static_cast<std::int64_t>(column.type));
    row.emplace_back(static_cast<std::int64_t>(column.modifier));
    row.emplace_back(static_cast<std::int64_t>(column.key));
  }
  return encode(row);
}

RelationShape decode_shape(std::string_view bytes) {
  Row row = decode_row(bytes);
  if (row.size() < 3 || row.size() % 4 != 3) throw std::invalid_argument("a relation's shape that is none");
  try {
    auto number = [&](std::size_t place) { return std::get<std::int64_t>(row[place]); };
    RelationShape shape{static_cast<pgoutput::Oid>(number(0)),
                        std::get<std::string>(row[1]),
                        std::get<std::string>(row[2]).at(0),
                        {}};
    for (std::size_t at = 3; at < row.size(); at += 4) {
      shape.columns.push_back({number(at + 3) != 0, std::get<std::string>(row[at]),
                               static_cast<pgoutput::Oid>(number(at + 1)),
                               static_cast<std::int32_t>(number(at + 2))});
    }
    return shape;
  } catch (const std::exception&) {
    throw std::invalid_argument("a relation's shape that is none");
  }
}

Relation relation_of(const RelationShape& shape, std::uint32_t id,
                     const std::vector<std::string>& key_order) {
  Relation relation{id, shape.table, {}, {}};
  std::vector<std::uint32_t> ordered;
  for (std::uint32_t place = 0; place < shape.columns.size(); ++place) {
    relation.columns.push_back(shape.columns[place].name);
    if (identifies(shape, place)) relation.key.push_back(place);
  }
  for (const std::string& name : key_order) {
    auto found = std::find(relation.columns.begin(), relation.columns.end(), name);
    if (found != relation.columns.end())
      ordered.push_back(static_cast<std::uint32_t>(found - relation.columns.begin()));
  }
  if (std::is_permutation(ordered.begin(), ordered.end(), relation.key.begin(), relation.key.end()))
    relation.key = std::move(ordered);
  return relation;
}

Assembler::Assembler(const AssemblerOptions& options, Spool& spool, Assembly& assembly)
    : options_(options), spool_(spool), assembly_(assembly), last_transaction_(options.last_transaction) {}

std::optional<std::uint64_t> Assembler::held_lsn() const {
  std::optional<std::uint64_t> held;
  for (const auto& [xid, waiting] : waiting_) {
    if (waiting.prepare_lsn != 0) held = std::min(held.value_or(UINT64_MAX), waiting.prepare_lsn);
  }
  return held;
}

void Assembler::take(std::string_view bytes) {
  ++arrivals_;
  if (streaming_ != 0) return take_in_stream(bytes);
  if (open_ && open_->prepares) return take_in_prepare(bytes);
  handle(pgoutput::decode(bytes, false));
}

void Assembler::handle(pgoutput::Message&& message) {
  std::visit([this](auto&& it) { on(std::forward<decltype(it)>(it)); }, std::move(message));
}

// Rows go to the spool as they are: they are decoded once, when it is known that they were committed.
void Assembler::take_in_stream(std::string_view bytes) {
  auto [type, xid] = pgoutput::peek(bytes, true);
  if (std::string_view("IUDTM").find(type) != std::string_view::npos) {
    spool_.append(streaming_, xid, bytes, false);
    return;
  }
  auto message = pgoutput::decode(bytes, true);
  Waiting& waiting = waiting_[streaming_];
  if (auto* relation = std::get_if<pgoutput::Relation>(&message)) {
    spool_.append(streaming_, xid, bytes, true);
    learn(waiting.relations, shape_of(std::move(*relation)), arrivals_);
  } else if (auto* origin = std::get_if<pgoutput::Origin>(&message)) {
    waiting.origin = origin->name;
  } else if (std::holds_alternative<pgoutput::StreamStop>(message)) {
    on(pgoutput::StreamStop());
  }
}

void Assembler::take_in_prepare(std::string_view bytes) {
  auto xid = open_->stamp.xid;
  if (std::string_view("IUDTM").find(pgoutput::peek(bytes, false).type) != std::string_view::npos) {
    spool_.append(xid, xid, bytes, false);
    return;
  }
  auto message = pgoutput::decode(bytes, false);
  if (auto* relation = std::get_if<pgoutput::Relation>(&message)) {
    spool_.append(xid, xid, bytes, true);
    on(std::move(*relation));
  } else if (auto* origin = std::get_if<pgoutput::Origin>(&message)) {
    waiting_[xid].origin = origin->name;
  } else if (auto* prepare = std::get_if<pgoutput::Prepare>(&message)) {
    on(std::move(*prepare));
  } else if (!std::holds_alternative<pgoutput::Type>(message)) {
    out_of_order("something else within a transaction that is being prepared");
  }
}

void Assembler::learn(Relations& into, const RelationShape& shape, std::uint64_t arrived) {
  Known& known = into[shape.oid];
  if (known.shape != shape) known = {shape, arrived, std::nullopt};
  known.arrived = arrived;
  known.in_doubt = false;
}

void Assembler::on(pgoutput::Relation&& relation) {
  bool replays = open_ && open_->replays;
  learn(replays ? replayed_ : relations_, shape_of(std::move(relation)), arrivals_);
}

void Assembler::on(pgoutput::Origin&& origin) {
  if (!open_) out_of_order("an origin outside of a transaction");
  open_->stamp.origin = std::move(origin.name);
}

// Behind a transaction's first change it is no mark: what was handed over cannot be taken back.
bool Assembler::is_mark(const pgoutput::LogicalMessage& message) const {
  return message.transactional && !options_.skip_content.empty() && open_->first && part_.changes.empty() &&
         message.prefix == options_.skip_prefix && message.content == options_.skip_content;
}

// One in a transaction that we have is passed on as well: nobody may have heard of it then.
void Assembler::on(pgoutput::LogicalMessage&& message) {
  if (message.transactional && !open_) out_of_order("a transactional message outside of a transaction");
  if (is_mark(message)) open_->dropped = true;
  assembly_.message(message);
}

void Assembler::open(Open open) {
  if (open_ || streaming_ != 0) out_of_order("a transaction begins within another");
  part_ = {};
  part_bytes_ = 0;
  open_ = std::move(open);
}

void Assembler::begin(const SourceStamp& stamp, std::int64_t commit_time_us) {
  Open it;
  it.stamp = stamp;
  it.commit_time_us = commit_time_us;
  it.dropped = stamp.commit_lsn < options_.have;
  open(std::move(it));
}

void Assembler::on(pgoutput::Begin&& it) {
  begin({it.commit_lsn, 0, it.xid, ""}, it.commit_time_us);
}

void Assembler::on(pgoutput::Commit&& commit) {
  if (!open_ || open_->stamp.commit_lsn != commit.commit_lsn)
    out_of_order("a commit of another transaction than the one that began");
  close(commit.end_lsn);
}

Assembler::Known& Assembler::known(pgoutput::Oid oid) {
  if (open_->replays) {
    if (auto found = replayed_.find(oid); found != replayed_.end()) return found->second;
  }
  auto found = relations_.find(oid);
  if (found == relations_.end())
    out_of_order(fmt::format("a change of relation {}, which was not described", oid));
  return found->second;
}

const Relation& Assembler::used(Known& known) {
  if (!known.relation) {
    auto last = assembly_.last_shape(known.shape.oid);
    if (last && *last != known.shape) assembly_.relation_changed({*last, known.shape});
    known.relation = assembly_.relation(known.shape);
  }
  return *known.relation;
}

// Null where the transaction is one that we have.
Assembler::Known* Assembler::changed_table(pgoutput::Oid oid) {
  if (!open_) out_of_order("a change outside of a transaction");
  return open_->dropped ? nullptr : &known(oid);
}

// What is described is the root of partitions, and one of them may name its rows by other columns; those of
// an identity are never null.
void Assembler::check_identity(Known& table, const pgoutput::OldTuple& old) {
  if (old.whole || table.in_doubt || is_named(table.shape, old.tuple.values)) return;
  table.in_doubt = true;
  RelationShape other = table.shape;
  other.identity = 'n';
  assembly_.relation_changed({table.shape, other});
}

void Assembler::on(pgoutput::Insert&& insert) {
  Known* table = changed_table(insert.relation);
  if (!table) return;
  check_width(table->shape, insert.row.values);
  Change change;
  change.row = std::move(insert.row.values);
  add(used(*table), std::move(change));
}

void Assembler::on(pgoutput::Update&& update) {
  Known* table = changed_table(update.relation);
  if (!table) return;
  const Relation& relation = used(*table);
  if (update.old) check_identity(*table, *update.old);
  add(relation, update_of(table->shape, std::move(update)));
}

void Assembler::on(pgoutput::Delete&& removed) {
  Known* table = changed_table(removed.relation);
  if (!table) return;
  check_old(table->shape, removed.old.tuple);
  const Relation& relation = used(*table);
  check_identity(*table, removed.old);
  Change change;
  change.operation = Operation::remove;
  change.row = std::move(removed.old.tuple.values);
  add(relation, std::move(change));
}

// The server names the tables that CASCADE reached as well.
void Assembler::on(pgoutput::Truncate&& truncate) {
  for (auto oid : truncate.relations) {
    Known* table = changed_table(oid);
    if (!table) return;
    Change change;
    change.operation = Operation::truncate;
    change.restart_sequences = truncate.restart_sequences;
    add(used(*table), std::move(change));
  }
}

void Assembler::on(pgoutput::StreamStart&& start) {
  if (open_ || start.xid == 0) out_of_order("a stream begins within a transaction");
  if (start.first) forget(start.xid);
  streaming_ = start.xid;
  waiting_[start.xid];
}

void Assembler::on(pgoutput::StreamStop&&) {
  if (streaming_ == 0) out_of_order("a stream ends that did not begin");
  streaming_ = 0;
  spool_.rest();
}

void Assembler::on(pgoutput::StreamCommit&& commit) {
  replay(commit.xid, {commit.commit_lsn, commit.end_lsn, commit.xid, ""}, commit.commit_time_us);
}

void Assembler::on(pgoutput::StreamAbort&& abort) {
  if (abort.xid == abort.subtransaction) {
    forget(abort.xid);
  } else if (waiting_.contains(abort.xid)) {
    spool_.abort(abort.xid, abort.subtransaction);
  }
}

void Assembler::on(pgoutput::BeginPrepare&& begin) {
  Open it;
  it.stamp.xid = begin.xid;
  it.prepares = true;
  open(std::move(it));
  forget(begin.xid);
  waiting_[begin.xid].streamed = false;
}

void Assembler::on(pgoutput::Prepare&& prepare) {
  if (!open_ || !open_->prepares || open_->stamp.xid != prepare.xid)
    out_of_order("a prepare of another transaction than the one that began");
  open_.reset();
  spool_.rest();
  waiting_[prepare.xid].prepare_lsn = prepare.prepare_lsn;
}

void Assembler::on(pgoutput::StreamPrepare&& prepare) {
  waiting_[prepare.xid].prepare_lsn = prepare.prepare_lsn;
}

void Assembler::on(pgoutput::CommitPrepared&& commit) {
  replay(commit.xid, {commit.commit_lsn, commit.end_lsn, commit.xid, ""}, commit.commit_time_us);
}

void Assembler::on(pgoutput::RollbackPrepared&& rollback) {
  forget(rollback.xid);
}

void Assembler::forget(pgoutput::Xid xid) {
  waiting_.erase(xid);
  spool_.remove(xid);
}

void Assembler::replay(pgoutput::Xid xid, SourceStamp stamp, std::int64_t commit_time_us) {
  if (!waiting_.contains(xid) && stamp.commit_lsn >= options_.have)
    out_of_order(fmt::format("the commit of transaction {}, whose changes were not sent", xid));
  auto end_lsn = std::exchange(stamp.end_lsn, 0);
  Waiting waiting = std::move(waiting_[xid]);
  stamp.origin = waiting.origin;
  begin(stamp, commit_time_us);
  open_->replays = true;
  replayed_.clear();
  spool_.read(xid, [&](std::string_view bytes) { handle(pgoutput::decode(bytes, waiting.streamed)); });
  close(end_lsn);
  for (const auto& [oid, known] : waiting.relations) {
    auto current = relations_.find(oid);
    if (current == relations_.end() || current->second.arrived < known.arrived)
      learn(relations_, known.shape, known.arrived);
  }
  forget(xid);
}

void Assembler::add(const Relation& relation, Change change) {
  if (part_bytes_ >= options_.max_part_bytes || part_.changes.size() >= options_.max_part_changes)
    hand_over(false);
  change.relation = relation.id;
  bool named = std::any_of(part_.relations.begin(), part_.relations.end(),
                           [&](const Relation& other) { return other.id == relation.id; });
  if (!named) part_.relations.push_back(relation);
  part_bytes_ += size_in_memory(change);
  part_.changes.push_back(std::move(change));
}

void Assembler::hand_over(bool last) {
  if (open_->first) ++last_transaction_;
  part_.transaction = last_transaction_;
  part_.first = std::exchange(open_->first, false);
  part_.last = last;
  part_.commit_time_us = open_->commit_time_us;
  part_.stamp = open_->stamp;
  assembly_.part(part_);
  part_ = {};
  part_bytes_ = 0;
}

void Assembler::close(std::uint64_t end_lsn) {
  open_->stamp.end_lsn = end_lsn;
  bool empty = open_->first && part_.changes.empty();
  if (!empty) hand_over(true);
  CommittedTransaction committed{empty ? 0 : last_transaction_, open_->stamp, open_->commit_time_us};
  open_.reset();
  assembly_.committed(committed);
}

}  // namespace tidegate
