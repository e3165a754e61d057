#include "replicator/cutover/legacy.hpp"

namespace tidegate::cutover {

std::unique_ptr<Legacy> make_legacy(const Settings& settings) {
  return settings.source.end.kind == Endpoint::Kind::sqlite ? make_sqlite_legacy(settings)
                                                            : make_postgres_legacy(settings);
}

}  // namespace tidegate::cutover
