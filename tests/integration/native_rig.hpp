// A NativeSink on the test's server, and changes as a Postgres source's decoder gives them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apply/postgres/native/native_sink.hpp"
#include "server.hpp"

namespace tidegate::testing_support {

inline const Value absent_value = Blob{"absent"};  // marks a value that is not sent

class NativeSinkTest : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (!IsSkipped()) start(target());
  }
  void start(const TargetOptions& options) {
    sink_.reset();
    quarantine_.reset();
    session_.reset();  // and with it the lease
    session_ = std::make_unique<TargetSession>(options, "inc");
    quarantine_ = std::make_unique<Quarantine>(*session_);
  }
  // Goes on as a role that may not switch foreign keys and triggers off.
  void without_replica_mode() {
    other_->run(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'plain_role') THEN CREATE ROLE "
        "plain_role "
        "LOGIN PASSWORD 'plain'; END IF; END $$");
    for (const std::string& schema : {std::string("tidegate"), tidegate::quoted(name_)}) {
      other_->run("GRANT ALL ON SCHEMA " + schema + " TO plain_role");
      other_->run("GRANT ALL ON ALL TABLES IN SCHEMA " + schema + " TO plain_role");
      other_->run("GRANT ALL ON ALL SEQUENCES IN SCHEMA " + schema + " TO plain_role");
    }
    auto options = target();
    std::string& url = options.connect.url;
    auto from = url.find("//") + 2;
    url.replace(from, url.find('@') - from, "plain_role:plain");
    start(options);
    ASSERT_FALSE(session_->replica_mode());
  }
  // A table of the target, and its plan from the target's own catalogue. `key`: the replica identity; empty
  // under FULL.
  void table(const std::string& name, const std::string& definition, std::vector<std::string> key = {"id"}) {
    other_->run("CREATE TABLE " + tidegate::quoted(name) + "(" + definition + ")");
    adopt(name, key, key);
  }
  void adopt(const std::string& name, const std::vector<std::string>& plan_key,
             const std::vector<std::string>& identity) {
    auto columns = other_->run(
        "SELECT attname, format_type(atttypid, NULL), attnotnull, attidentity <> '' FROM pg_attribute WHERE "
        "attrelid = " +
        postgres::literal(tidegate::quoted(name)) +
        "::regclass AND attnum > 0 AND attgenerated = '' ORDER BY attnum");
    TablePlan plan{name, name_, name, {}, plan_key};
    Relation relation{static_cast<std::uint32_t>(relations_.size() + 1), name, {}, {}};
    for (int i = 0; i < columns.rows(); ++i) {
      ColumnPlan column;
      column.source = column.target = columns.text(i, 0);
      column.type = TargetType::native;
      column.existing_type = columns.text(i, 1);
      column.not_null = columns.boolean(i, 2);
      column.identity = columns.boolean(i, 3);
      plan.columns.push_back(column);
      relation.columns.push_back(column.source);
    }
    for (const auto& column : identity) {
      auto found = std::find(relation.columns.begin(), relation.columns.end(), column);
      relation.key.push_back(static_cast<std::uint32_t>(found - relation.columns.begin()));
    }
    plans_[name] = plan;
    relations_[name] = relation;
  }

  struct Step {
    std::string table;
    Change change;
  };
  static Row row(const std::vector<Value>& values) { return values; }
  static Step insert(const std::string& table, Row row) {
    return {table, {Operation::insert, 1, std::move(row), {}, {}}};
  }
  static Step remove(const std::string& table, Row row) {
    return {table, {Operation::remove, 1, std::move(row), {}, {}}};
  }
  static Step update(const std::string& table, Row row, Row before = {}) {
    Change change{Operation::update, 1, std::move(row), {}, {}};
    for (std::uint32_t i = 0; i < change.row.size(); ++i) {
      if (!identical(change.row[i], absent_value)) continue;
      change.absent.push_back(i);
      change.row[i] = Null{};
    }
    change.before = std::move(before);
    return {table, std::move(change)};
  }
  static Step truncate(const std::string& table, bool restart = false) {
    Change change{Operation::truncate, 1, {}, {}, {}};
    change.restart_sequences = restart;
    return {table, std::move(change)};
  }

  NativeSink& sink() {
    if (!sink_) sink_ = std::make_unique<NativeSink>(*session_, *quarantine_, plans_);
    return *sink_;
  }
  void add(const std::vector<Step>& steps) {
    for (const auto& step : steps) sink().add(relations_.at(step.table), step.change);
  }
  Position next() {
    auto sequence = session_->position().sequence + 1;
    return {"inc", sequence, "d" + std::to_string(sequence)};
  }
  void commit() {
    auto to = next();
    sink().write(to);
    EXPECT_EQ(sink().rows(), 0u);
    EXPECT_EQ(rows("SELECT sequence, digest FROM tidegate.pipelines WHERE pipeline = '" + name_ + "'"),
              std::vector<std::string>{std::to_string(to.sequence) + "|" + to.digest});
  }
  void write(const std::vector<Step>& steps) {
    add(steps);
    commit();
  }
  // Table and key, SQLSTATE or misfit, and what the target has instead.
  std::vector<std::string> held() {
    return rows(
        "SELECT source_table || source_key, coalesce(nullif(sqlstate, ''), reason), target_holds"
        " FROM tidegate.quarantine WHERE pipeline = '" +
        name_ + "' ORDER BY id");
  }

  Plans plans_;
  std::map<std::string, Relation> relations_;
  std::unique_ptr<TargetSession> session_;
  std::unique_ptr<Quarantine> quarantine_;
  std::unique_ptr<NativeSink> sink_;
};

}  // namespace tidegate::testing_support
