// Two streams of rows in one order, merged: what is on one side only, and what differs.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "replicator/verify/findings.hpp"
#include "replicator/verify/row_order.hpp"
#include "replicator/verify/spelling.hpp"
#include "replicator/verify/target_end.hpp"

namespace tidegate::verify {

// The source's rows as the plan would write them.
class SourceLines {
 public:
  virtual ~SourceLines() = default;
  // False at the end. The line is valid until the next call.
  virtual bool next() = 0;
  virtual std::string_view line() const = 0;
  // The current row's key: as it is shown, and encoded.
  virtual std::string key() const = 0;
  virtual std::string key_bytes() const = 0;
};

class TargetLines {
 public:
  virtual ~TargetLines() = default;
  virtual bool next() = 0;
  virtual std::string_view line() const = 0;
};

// A side did not keep to the order: the rows must be sorted by what is printed.
class OrderBroken : public std::runtime_error {
 public:
  OrderBroken() : std::runtime_error("the rows do not come in the order of their keys") {}
};

// The version of a row that is still to be asked for.
inline constexpr const char* kUnseenVersion = "?";

class LineMerge {
 public:
  // What a merge works with; all of it outlives the merge.
  struct Scene {
    const TablePlan& plan;
    const RowOrder& order;
    const Held& held;  // rows in quarantine
    Speller& speller;
    std::function<void(std::uint64_t rows)> compared;
    // Of a contributor, which has no rows of its own: the columns that are not as they should be in a row
    // that the source says nothing of. Else such a row is too many.
    std::function<std::vector<std::string>(const std::vector<std::string_view>& fields)> leftover = {};
  };
  LineMerge(const Scene& scene, Findings& findings) : scene_(scene), findings_(findings) {}

  // Throws OrderBroken; then the findings say nothing.
  void run(SourceLines& source, TargetLines& target);
  // A row of the source that does not fit its plan: the quarantine knows it, or it is missing.
  void misfit(const std::string& key, const std::string& key_bytes);

 private:
  struct Stream {
    std::vector<std::string_view> fields;
    std::string before;  // the line before, where it was taken apart last
    bool there = false;
  };
  struct Doubt {
    std::string source, target, key, key_bytes;
  };
  struct Pending {  // fields of one column that are spelt differently
    std::vector<std::size_t> doubts;
    std::vector<std::string> source, target;
  };
  bool excepted(const std::string& key);
  bool is_waited_for(const std::vector<std::string_view>& fields);
  bool is_mapped() const { return !scene_.plan.from.empty(); }
  std::string shown_key(const std::vector<std::string_view>& fields) const;
  void differ(Kind kind, const std::string& key, std::string shown, const std::string& key_bytes,
              std::vector<std::string> columns = {}, bool unowned = false);
  std::string own_key() const;
  void stands_alone();
  void meet(SourceLines& source, TargetLines& target);
  void doubt(SourceLines& source, TargetLines& target);
  void compare_fields(std::size_t doubt, std::vector<Pending>& pending,
                      std::vector<std::vector<std::size_t>>& differing);
  void settle();
  void count(bool last);

  const Scene scene_;
  Findings& findings_;
  Stream source_, target_;
  std::vector<Doubt> doubts_;
  std::size_t doubt_bytes_ = 0;
  std::uint64_t uncounted_ = 0;
};

}  // namespace tidegate::verify
