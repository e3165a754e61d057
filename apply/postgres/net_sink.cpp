#include "apply/postgres/net_sink.hpp"

#include <stdexcept>

namespace tidegate {

void NetSink::write(const Position& to) {
  if (long_is_open_) {
    writer_.add(net_, to.sequence);
    writer_.commit_long(to);
    long_is_open_ = false;
  } else {
    writer_.write(net_, to);
  }
  net_ = NetChanges(plans_);
}

void NetSink::spill(std::uint64_t sequence) {
  if (!long_is_open_) writer_.begin_long();
  long_is_open_ = true;
  writer_.add(net_, sequence);
  net_ = NetChanges(plans_);
}

void NetSink::remove_ranges(const Relation& relation, const ChunkMap::Key&, const std::vector<KeyRange>&) {
  throw std::logic_error("a TRUNCATE of table " + relation.table + ", which its source cannot have");
}

}  // namespace tidegate
