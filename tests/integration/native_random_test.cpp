#include <gmock/gmock.h>

#include "apply/postgres/row_errors.hpp"
#include "native_rig.hpp"
#include "support/seeded.hpp"

namespace tidegate {
namespace {

using testing::IsEmpty;
using testing_support::absent_value;
using testing_support::Seeded;

// A source in the same schema, its tables named s_…, whose triggers write down each row change in the order
// in which it happened; the same changes go through the sink, and both must be equal.
constexpr const char* tables_sql = R"sql(
CREATE TABLE @a(id integer PRIMARY KEY, u integer UNIQUE, v text@check, big text);
CREATE TABLE @b(x integer, y text, v text, big text, PRIMARY KEY (x, y));
CREATE TABLE @c(id numeric PRIMARY KEY, u integer UNIQUE, v text, a integer REFERENCES @a ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE @k(j json, f double precision, v text@check, n integer);)sql";

constexpr const char* log_sql = R"sql(
CREATE TABLE log(seq bigserial, name text, op text, o1 text, o2 text, o3 text, o4 text, n1 text, n2 text, n3 text, n4 text);
CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE o text[]; n text[];
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    INSERT INTO log(name, op) VALUES (TG_ARGV[0], TG_OP);
    RETURN NULL;
  END IF;
  IF TG_OP <> 'INSERT' THEN EXECUTE format('SELECT ARRAY[%s]', replace(TG_ARGV[1], '@', '($1)')) INTO o USING OLD; END IF;
  IF TG_OP <> 'DELETE' THEN EXECUTE format('SELECT ARRAY[%s]', replace(TG_ARGV[1], '@', '($1)')) INTO n USING NEW; END IF;
  INSERT INTO log(name, op, o1, o2, o3, o4, n1, n2, n3, n4) VALUES (TG_ARGV[0], TG_OP, o[1], o[2], o[3], o[4], n[1], n[2], n[3], n[4]);
  RETURN NULL;
END $$;)sql";

// The name of the trigger comes before those of foreign keys, which fire in the order of their names.
constexpr const char* trigger_sql = R"sql(
CREATE TRIGGER "A" AFTER INSERT OR UPDATE OR DELETE ON s_@ FOR EACH ROW EXECUTE FUNCTION log('@', '#');
CREATE TRIGGER "AT" AFTER TRUNCATE ON s_@ EXECUTE FUNCTION log('@');)sql";

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

class NativeRandom : public testing_support::NativeSinkTest {
 protected:
  void make(bool with_checks) {
    other_->run("SET search_path = " + tidegate::quoted(name_));
    other_->run(replaced(replaced(tables_sql, "@check", ""), "@", "s_"));
    other_->run(
        replaced(replaced(tables_sql, "@check", with_checks ? " CHECK (v NOT LIKE 'bad%')" : ""), "@", ""));
    other_->run(log_sql);
    const std::vector<std::pair<std::string, std::string>> columns = {
        {"a", "@.id::text, @.u::text, @.v, @.big"},
        {"b", "@.x::text, @.y, @.v, @.big"},
        {"c", "@.id::text, @.u::text, @.v, @.a::text"},
        {"k", "@.j::text, @.f::text, @.v, @.n::text"}};
    for (const auto& [table, list] : columns) {
      other_->run(replaced(replaced(trigger_sql, "@", table), "#", list));
    }
    adopt("a", {"id"}, {"id"});
    adopt("b", {"x", "y"}, {"x", "y"});
    adopt("c", {"id"}, full_identity_ ? std::vector<std::string>{} : std::vector<std::string>{"id"});
    adopt("k", {}, {});
  }

  std::string id() { return std::to_string(seeded_.below(12)); }
  std::string word() {
    static const char* words[] = {"''", "NULL", "'v'", "'w \"x\"'", "'bad'", "'bad one'", "'{}'", "'z'"};
    return words[seeded_.below(8)];
  }
  std::string operation() {
    switch (seeded_.below(24)) {
      case 0:
      case 1:
      case 2:
        return "INSERT INTO s_a VALUES (" + id() + ", " + id() + ", " + word() + ", " + word() + ")";
      case 3:
      case 4:
        return "UPDATE s_a SET u = " + id() + ", v = " + word() + " WHERE id = " + id();
      case 5:
        return "UPDATE s_a SET big = " + word() + " WHERE id > " + id();
      case 6:
        return "DELETE FROM s_a WHERE id = " + id();
      case 7:
        return "UPDATE s_a SET id = " + id() + " WHERE id = " + id();
      case 8:
        return "DO $$ DECLARE r integer; BEGIN FOR r IN SELECT id FROM s_a WHERE id >= " + id() +
               " ORDER BY id DESC LOOP UPDATE s_a SET id = id + 1 WHERE id = r; END LOOP; END $$";
      case 9:
        return "DO $$ DECLARE p integer := " + id() + "; q integer := " + id() +
               "; up integer; uq integer; BEGIN SELECT u INTO up FROM s_a WHERE id = p; SELECT u INTO uq "
               "FROM s_a "
               "WHERE id = q; UPDATE s_a SET u = -1 WHERE id = p; UPDATE s_a SET u = up WHERE id = q; UPDATE "
               "s_a SET "
               "u = uq WHERE id = p; END $$";
      case 10:
      case 11:
        return "INSERT INTO s_b VALUES (" + id() + ", 'y' || " + id() + " % 3, " + word() + ", " + word() +
               ")";
      case 12:
        return "UPDATE s_b SET x = " + id() + ", v = " + word() + " WHERE x = " + id();
      case 13:
        return "UPDATE s_b SET v = " + word() + " WHERE x = " + id();
      case 14:
        return "DELETE FROM s_b WHERE x = " + id();
      case 15:
      case 16:
        return "INSERT INTO s_k SELECT '{\"a\":  1}', '-0', " + word() + ", " + id() +
               " FROM generate_series(1, 2)";
      case 17:
        return "UPDATE s_k SET v = " + word() + ", f = " + id() + " WHERE n > " + id();
      case 18:
        return "DELETE FROM s_k WHERE ctid IN (SELECT ctid FROM s_k WHERE n >= " + id() + " LIMIT 2)";
      case 19:
      case 20:
        return "INSERT INTO s_c VALUES (" + id() + ", " + id() + ", " + word() + ", " + id() + ")";
      case 21:
        return "UPDATE s_c SET id = id" + std::string(seeded_.one_in(2) ? " + 0.0" : " * 10") +
               ", u = " + id() + " WHERE a = " + id();
      case 22:
        return "DELETE FROM s_c WHERE u = " + id();
      default:
        if (!seeded_.one_in(4)) return "UPDATE s_c SET v = " + word();
        return seeded_.one_in(3) ? "TRUNCATE s_a, s_c" : seeded_.one_in(2) ? "TRUNCATE s_b" : "TRUNCATE s_k";
    }
  }
  void try_it(const std::string& sql) {
    attempt(*other_, [&] { other_->run(sql); });
  }

  void source_transaction() {
    other_->run("BEGIN");
    for (auto left = 1 + seeded_.below(8); left > 0; --left) try_it(operation());
    other_->run("COMMIT");
  }
  void source(const std::string& sql) { other_->run(sql); }

  // What pgoutput would send.
  void add_logged(bool leave_out) {
    auto log = other_->run("SELECT name, op, o1, o2, o3, o4, n1, n2, n3, n4 FROM log ORDER BY seq");
    other_->run("DELETE FROM log");
    for (int i = 0; i < log.rows(); ++i) {
      auto values = [&](int from) {
        Row row;
        for (int j = from; j < from + 4; ++j) {
          row.emplace_back();
          if (!log.is_null(i, j)) row.back().emplace<std::string>(log.text(i, j));
        }
        return row;
      };
      add({change(std::string(log.text(i, 0)), log.text(i, 1), values(2), values(6), leave_out)});
    }
  }
  Step change(const std::string& table, std::string_view operation, Row before, Row after, bool leave_out) {
    if (operation == "TRUNCATE") return truncate(table);
    if (operation == "INSERT") return insert(table, after);
    const Relation& relation = relations_.at(table);
    bool full = relation.key.empty();
    if (operation == "DELETE") return remove(table, full ? before : only_key(relation, before));
    bool toasted = leave_out && table != "k" && identical(before[2], after[2]) && seeded_.one_in(2);
    bool toasted_too = leave_out && table != "k" && identical(before[3], after[3]) && seeded_.one_in(2);
    bool moved = !identical(key_of(relation, before), key_of(relation, after));
    if (toasted) after[2] = absent_value;
    if (toasted_too) after[3] = absent_value;
    return update(table, after, full ? before : moved ? only_key(relation, before) : Row{});
  }
  static Row only_key(const Relation& relation, const Row& row) {
    Row key(row.size());
    for (auto place : relation.key) key[place] = row[place];
    return key;
  }

  std::vector<std::string> content(const std::string& table, const std::string& where) {
    return rows("SELECT t::text FROM " + table + " AS t WHERE " + where + " ORDER BY 1");
  }
  void compare(const std::string& where = "true") {
    for (const char* table : {"a", "b", "c", "k"}) {
      EXPECT_EQ(content(table, where), content("s_" + std::string(table), where))
          << table << " " << seeded_.told();
    }
  }
  void run(int transactions) {
    for (int i = 0; i < transactions && !HasFailure(); ++i) {
      source_transaction();
      add_logged(true);
      if (seeded_.one_in(12)) sink().spill(session_->position().sequence + 1);
      if (seeded_.one_in(6)) sink().pass_on(session_->position().sequence + 1);
      if (seeded_.one_in(3)) commit();
    }
    commit();
  }

  Seeded seeded_;
  bool full_identity_ = false;
};

TEST_F(NativeRandom, TheTargetIsWhatTheSourceIs) {
  full_identity_ = seeded_.one_in(2);
  make(false);
  bool compared = false;  // a round may end with a TRUNCATE
  for (int round = 0; round < Seeded::rounds(4) && !HasFailure(); ++round) {
    run(40);
    compare();
    compared |= !rows("SELECT FROM s_a LIMIT 1").empty();
    EXPECT_THAT(held(), IsEmpty()) << seeded_.told();
  }
  EXPECT_TRUE(compared) << "nothing was compared; " << seeded_.told();
}

TEST_F(NativeRandom, WithoutReplicaMode) {
  make(false);
  without_replica_mode();
  for (int round = 0; round < Seeded::rounds(3) && !HasFailure(); ++round) {
    run(40);
    compare();
    EXPECT_THAT(held(), IsEmpty()) << seeded_.told();
  }
}

TEST_F(NativeRandom, WhatIsRefusedIsNamedAndComesBack) {
  make(true);
  for (int round = 0; round < Seeded::rounds(4) && !HasFailure(); ++round) {
    run(30);
    // All that the target may not hold is named, by its key.
    EXPECT_THAT(
        rows("SELECT id FROM s_a WHERE v LIKE 'bad%' EXCEPT SELECT (source_key::json->>0)::integer FROM "
             "tidegate.quarantine WHERE source_table = 'a' AND pipeline = '" +
             name_ + "'"),
        IsEmpty())
        << seeded_.told();
    const std::string others =
        "id::text NOT IN (SELECT source_key::json->>0 FROM tidegate.quarantine WHERE source_table = 'a' AND "
        "pipeline = '" +
        name_ + "')";
    EXPECT_EQ(content("a", others), content("s_a", others)) << seeded_.told();
    EXPECT_EQ(rows("SELECT count(*) FROM s_k WHERE v LIKE 'bad%'"),
              rows("SELECT count(*) FROM tidegate.quarantine WHERE source_table = 'k' AND pipeline = '" +
                   name_ + "'"))
        << seeded_.told();
    EXPECT_EQ(content("k", "true"), content("s_k", "v IS NULL OR v NOT LIKE 'bad%'")) << seeded_.told();
    // Whole rows that fit bring everything back; unique values are given up first, so that none is in the
    // way.
    for (const char* heal :
         {"UPDATE s_a SET v = 'good', u = -id - 1000", "UPDATE s_a SET u = id",
          "UPDATE s_c SET u = -id - 1000", "UPDATE s_c SET u = id * 100", "UPDATE s_k SET v = 'good'"}) {
      source(heal);
      add_logged(false);
      commit();
    }
    EXPECT_THAT(held(), IsEmpty()) << seeded_.told();
    compare();
  }
}

}  // namespace
}  // namespace tidegate
