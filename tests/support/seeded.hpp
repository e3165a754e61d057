// Randomised tests: every run has a seed of its own, which each failure shows and TIDEGATE_SEED repeats.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

namespace tidegate::testing_support {

class Seeded {
 public:
  Seeded() : seed_(chosen()), generator_(seed_) {
    ::testing::Test::RecordProperty("seed", std::to_string(seed_));
  }
  explicit Seeded(std::uint64_t seed) : seed_(seed), generator_(seed) {}

  std::string told() const { return "TIDEGATE_SEED=" + std::to_string(seed_); }
  std::uint64_t seed() const { return seed_; }
  // From 0 to `limit` - 1.
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(generator_()) % limit; }
  bool one_in(std::size_t chances) { return below(chances) == 0; }
  std::uint64_t bits() { return generator_(); }

  // How often a randomised test repeats: `few` in every run, more with tests/run.sh --long.
  static int rounds(int few) { return std::getenv("TIDEGATE_LONG") ? few * 50 : few; }

 private:
  static std::uint64_t chosen() {
    const char* given = std::getenv("TIDEGATE_SEED");
    return given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  }
  std::uint64_t seed_;
  std::mt19937_64 generator_;
};

}  // namespace tidegate::testing_support
