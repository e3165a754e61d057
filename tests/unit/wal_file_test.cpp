// Positions in the WAL, and its file.
#include <gtest/gtest.h>

#include "capture/sqlite/narrowing/wal_file.hpp"
#include "support/live_file.hpp"

namespace tidegate::sqlite_wal {
namespace {

using sqlite::Database;
using testing_support::LiveFile;
using testing_support::wal_writer_of;

TEST(WalPosition, ATornOrUnknownIndexHeaderIsNoPosition) {
  LiveFile file;
  Database writer = wal_writer_of(file.path());
  writer.execute("CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  auto header = writer.wal_index_header();
  auto position = published_position(header);
  ASSERT_TRUE(position);
  EXPECT_EQ(position->page_size, 4096U);
  EXPECT_GE(position->frame, 2U);
  EXPECT_FALSE(checkpointed(header, *position));
  for (std::size_t i = 0; i < 96; ++i) {
    auto torn = header;
    torn[i] ^= 0x55;
    EXPECT_FALSE(published_position(torn)) << "byte " << i;
  }
  auto both_wrong = header;
  both_wrong[16] ^= 1;
  both_wrong[48 + 16] ^= 1;
  EXPECT_FALSE(published_position(both_wrong));
  EXPECT_FALSE(published_position({}));
  writer.prepare("PRAGMA wal_checkpoint(PASSIVE)").step();
  EXPECT_TRUE(checkpointed(writer.wal_index_header(), *position));
}

TEST(WalFile, WhatDoesNotMatchThePositionIsUnsure) {
  LiveFile file;
  Database writer = wal_writer_of(file.path());
  writer.execute("CREATE TABLE t(a); INSERT INTO t VALUES (1)");
  WalPosition good = *published_position(writer.wal_index_header());
  int frames = 0;
  WalFile(file.path(), good).each_frame(1, [&](std::uint32_t, PageNumber) { ++frames; });
  EXPECT_EQ(frames, static_cast<int>(good.frame));
  auto refused = [&](auto change) {
    WalPosition bad = good;
    change(bad);
    EXPECT_THROW(WalFile(file.path(), bad), Unsure);
  };
  refused([](WalPosition& p) { ++p.salt1; });
  refused([](WalPosition& p) { ++p.frame; });
  refused([](WalPosition& p) { ++p.checksum2; });
  refused([](WalPosition& p) { p.page_size = 8192; });
  EXPECT_THROW(WalFile(file.path() + "x", good), Unsure);
  WalPosition empty = good;
  empty.frame = 0;
  EXPECT_NO_THROW(WalFile(file.path() + "x", empty));
}

}  // namespace
}  // namespace tidegate::sqlite_wal
