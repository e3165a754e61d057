// Makes the publication TEST of the tables that the arguments name, with consent to REPLICA IDENTITY FULL, in
// the database of TIDEGATE_TEST_TARGET; prints what it did. With failpoints, for test_publication.py.
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "capture/postgres/publication.hpp"

int main(int count, char** words) {
  using namespace tidegate;
  try {
    postgres::Connection source({std::getenv("TIDEGATE_TEST_TARGET"), "tidegate-publication-test", ""});
    auto tables = capture::read_catalog(source, {words + 1, words + count}, {});
    const auto changes = capture::ensure_publication(source, "TEST", tables, {true});
    std::printf("created %d, altered %zu, identity %zu\n", changes.created, changes.altered.size(),
                changes.identity_full.size());
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    return 1;
  }
}
