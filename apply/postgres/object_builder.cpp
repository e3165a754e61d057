#include "apply/postgres/object_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "apply/postgres/row_errors.hpp"
#include "db/failpoint.hpp"

namespace tidegate {
namespace {

constexpr int most_tries = 5;  // two foreign keys between the same tables may lock them the other way round
constexpr std::array<std::string_view, 5> kind_names{"primary key", "unique", "index", "check",
                                                     "foreign key"};

std::size_t stage_of(const DdlObject& object) {
  switch (object.kind) {
    case DdlObject::Kind::primary_key:
      return 0;
    case DdlObject::Kind::unique:
    case DdlObject::Kind::index:
      return 1;
    default:
      return 2;
  }
}

bool is_attached(const DdlObject& object) {
  return std::any_of(object.statements.begin(), object.statements.end(), [](const std::string& statement) {
    return statement.find("ATTACH PARTITION") != std::string::npos;
  });
}

Finding not_built(const DdlObject& object, const std::string& message) {
  return {Finding::Level::warn,
          "object-not-built",
          object.table,
          "",
          fmt::format("{} {} of table {} could not be built on the target: {}", name_of(object.kind),
                      object.name, object.table, message),
          "mend the rows in the source, then build it on the target by hand; the SQL is in `tidegate plan`"};
}

// Its statements one by one under savepoints: a constraint that was added NOT VALID stays so where a row
// breaks it.
std::optional<Finding> build(WorkerSession& session, const DdlObject& object) {
  WorkerTransaction transaction(session);
  std::string failure;
  for (const auto& statement : object.statements) {
    auto error = attempt(session.connection(), [&] {
      try {
        session.connection().run(statement);
      } catch (const Error& refused) {
        // An object that the target cannot have at all (42…) is reported like one that its rows refuse.
        if (!refused.code().starts_with("42")) throw;
        throw Error(refused.what(), "P0001", Advice::stop);
      }
    });
    if (!error) continue;
    failure = error->what();
    break;
  }
  session.connection().run(
      "INSERT INTO tidegate.objects(pipeline, name, kind, table_name, state, error) VALUES ($1, $2, $3, $4, "
      "$5, $6)",
      {session.pipeline(), object.name, std::string(name_of(object.kind)), object.table,
       failure.empty() ? "done" : "failed", failure});
  transaction.commit();
  failpoint("build-after-object");
  if (failure.empty()) return std::nullopt;
  return not_built(object, failure);
}

std::optional<Finding> build_with_patience(WorkerSession& session, const DdlObject& object) {
  for (int tries = 1;; ++tries) {
    try {
      return build(session, object);
    } catch (const Error& error) {
      if (error.advice() != Advice::retry || tries == most_tries) throw;
    }
  }
}

// One stage, handed out to the threads that build it.
class Work {
 public:
  Work(BuildStage stage, const std::function<void(const std::string&)>& progress,
       std::vector<Finding>& findings)
      : stage_(std::move(stage)), progress_(progress), findings_(findings) {}

  void run(const TargetSession& lease) {
    try {
      WorkerSession session(lease);
      while (auto objects = take()) {
        for (const auto& object : *objects) {
          progress_(fmt::format("{} {} on {}", name_of(object.kind), object.name, object.table));
          note(build_with_patience(session, object));
        }
      }
    } catch (...) {
      std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::optional<std::vector<DdlObject>> take() {
    std::lock_guard lock(mutex_);
    if (stage_.empty() || failure_) return std::nullopt;
    auto objects = std::move(stage_.front());
    stage_.pop_front();
    return objects;
  }
  void note(const std::optional<Finding>& finding) {
    std::lock_guard lock(mutex_);
    if (finding) findings_.push_back(*finding);
  }

  std::mutex mutex_;
  BuildStage stage_;
  const std::function<void(const std::string&)>& progress_;
  std::vector<Finding>& findings_;
  std::exception_ptr failure_;
};

}  // namespace

std::string_view name_of(DdlObject::Kind kind) {
  return kind_names[static_cast<std::size_t>(kind)];
}

std::vector<BuildStage> build_stages(std::vector<DdlObject> objects) {
  std::set<std::string> partitioned;
  for (const auto& object : objects) {
    if (is_attached(object)) partitioned.insert(object.table);
  }
  std::vector<BuildStage> stages(3);
  for (auto& object : objects) {
    BuildStage& stage = stages[stage_of(object)];
    auto together = std::find_if(stage.begin(), stage.end(), [&](const auto& each) {
      return partitioned.contains(object.table) && each.front().table == object.table;
    });
    if (together == stage.end()) {
      stage.push_back({std::move(object)});
    } else {
      together->push_back(std::move(object));
    }
  }
  std::erase_if(stages, [](const BuildStage& stage) { return stage.empty(); });
  return stages;
}

std::vector<Finding> build_objects(const TargetSession& lease, std::vector<DdlObject> objects, int jobs,
                                   const std::function<void(const std::string&)>& progress) {
  std::vector<Finding> findings;
  for (auto& stage : build_stages(std::move(objects))) {
    auto threads = std::clamp<std::size_t>(static_cast<std::size_t>(std::max(jobs, 1)), 1, stage.size());
    Work work(std::move(stage), progress, findings);
    {
      std::vector<std::jthread> builders;
      for (std::size_t i = 0; i < threads; ++i) builders.emplace_back([&] { work.run(lease); });
    }
    work.rethrow();
  }
  return findings;
}

}  // namespace tidegate
