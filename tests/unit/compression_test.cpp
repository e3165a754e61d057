#include "replicator/journal/compression.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "support/seeded.hpp"

namespace tidegate {
namespace {

// One context for all of them, small and large, and after bytes that are no frame.
TEST(Compression, EveryBodyComesBack) {
  testing_support::Seeded random;
  SCOPED_TRACE(random.told());
  Compressor compressor;
  Decompressor decompressor;
  for (std::size_t size : {0, 1, 500, 4095, 4096, 100'000, 7, 300'000}) {
    std::string body;
    while (body.size() < size) body += random.mutated("a row that is much like the one before it");
    body.resize(size);
    std::string frame = compressor.compress(body);
    EXPECT_EQ(decompressor.decompress(frame), body);
    EXPECT_THROW(decompressor.decompress(frame.substr(0, frame.size() / 2)), std::invalid_argument);
    EXPECT_THROW(decompressor.decompress("no frame"), std::invalid_argument);
  }
}

TEST(Compression, WhatRepeatsGetsSmaller) {
  Compressor compressor;
  for (std::size_t size : {1000, 100'000}) {
    EXPECT_LT(compressor.compress(std::string(size, 'x')).size(), size / 10);
  }
}

}  // namespace
}  // namespace tidegate
