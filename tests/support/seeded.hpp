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

  // The same bytes with a few of them changed, lost or put in.
  std::string mutated(std::string bytes) {
    for (std::size_t edits = 1 + below(4); edits > 0 && !bytes.empty(); --edits) {
      std::size_t at = below(bytes.size());
      switch (below(4)) {
        case 0:
          bytes[at] = static_cast<char>(below(256));
          break;
        case 1:
          bytes.erase(at, 1 + below(8));
          break;
        case 2:
          bytes.insert(at, std::string(1 + below(4), static_cast<char>(below(256))));
          break;
        default:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
      }
    }
    return bytes;
  }

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
