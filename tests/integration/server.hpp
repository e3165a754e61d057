// The target that test_apply.py has started; each test works in a schema and a pipeline of its own.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "apply/postgres/batch_writer.hpp"
#include "db/error.hpp"
#include "db/postgres.hpp"
#include "support/plans.hpp"

namespace tidegate::testing_support {

inline postgres::ConnectOptions server() {
  postgres::ConnectOptions options;
  options.url = std::getenv("TIDEGATE_TEST_TARGET");
  options.application_name = "tidegate-apply-tests";
  return options;
}

class ServerTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::getenv("TIDEGATE_TEST_TARGET")) GTEST_SKIP() << "run tests/integration/test_apply.py";
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    name_ = std::string(test->test_suite_name()) + "." + test->name();
    other_ = std::make_unique<postgres::Connection>(server());
    other_->run("CREATE SCHEMA " + tidegate::quoted(name_) +
                "; SET search_path = " + tidegate::quoted(name_));
  }
  // Rows of a query on a connection of its own, columns joined by "|", NULL as "-".
  std::vector<std::string> rows(const std::string& sql) {
    auto result = other_->run(sql);
    std::vector<std::string> found;
    for (int i = 0; i < result.rows(); ++i) {
      std::string line;
      for (int j = 0; j < result.columns(); ++j) {
        line += (j ? "|" : "") + (result.is_null(i, j) ? "-" : std::string(result.text(i, j)));
      }
      found.push_back(line);
    }
    return found;
  }
  TargetOptions target() const { return {server(), name_}; }
  // The same as a role that may not switch triggers and foreign keys off.
  TargetOptions target_without_replica_mode() {
    TargetSession makes_the_control_schema(target(), "inc");
    if (rows("SELECT FROM pg_catalog.pg_roles WHERE rolname = 'tidegate_plain'").empty()) {
      other_->run("CREATE ROLE tidegate_plain; GRANT tidegate_plain TO CURRENT_USER");
    }
    other_->run("GRANT ALL ON SCHEMA tidegate, " + tidegate::quoted(name_) +
                " TO tidegate_plain; GRANT ALL ON ALL TABLES IN SCHEMA tidegate TO tidegate_plain");
    auto options = target();
    options.connect.url += "&options=-c%20role%3Dtidegate_plain";
    return options;
  }

  std::string name_;
  std::unique_ptr<postgres::Connection> other_;
};

inline std::string code_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.code();
  }
  return "nothing was thrown";
}

}  // namespace tidegate::testing_support
