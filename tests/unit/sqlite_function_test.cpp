#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "db/error.hpp"
#include "db/sqlite.hpp"

namespace tidegate::sqlite {
namespace {

Value echo(std::span<const Value> arguments) {
  return arguments.empty() ? Value(Null{}) : arguments.front();
}

Value through_echo(Database& database, const Value& value) {
  Statement statement = database.prepare("SELECT echo(?1)");
  statement.bind(1, value);
  EXPECT_TRUE(statement.step());
  return statement.value(0);
}

TEST(SqliteFunction, ValuesGoInAndOutAsTheyAre) {
  Database database = Database::in_memory();
  database.create_function("echo", Database::any_number, echo);
  const Value values[] = {Null{},
                          std::numeric_limits<std::int64_t>::min(),
                          0.1,
                          std::string(),
                          std::string("a\0b", 3),
                          std::string("\xff"),
                          Blob{},
                          Blob{std::string("\0\xff", 2)}};
  for (const Value& value : values) EXPECT_TRUE(identical(through_echo(database, value), value));
}

TEST(SqliteFunction, ArgumentsOfOneCallAreNotThoseOfTheNext) {
  Database database = Database::in_memory();
  std::vector<std::size_t> counts;
  database.create_function("n", Database::any_number, [&](std::span<const Value> arguments) -> Value {
    counts.push_back(arguments.size());
    return static_cast<std::int64_t>(arguments.size());
  });
  EXPECT_EQ(database.text("SELECT n('a', 'b') || n('long') || n() || n(1, 2, 3)"), "2103");
  EXPECT_THAT(counts, ::testing::ElementsAre(2, 1, 0, 3));
}

TEST(SqliteFunction, AnExceptionFailsTheStatementAndNothingElse) {
  Database database = Database::in_memory();
  database.create_function("odd", 1, [](std::span<const Value> arguments) -> Value {
    if (std::get<std::int64_t>(arguments[0]) % 2 == 0) throw std::invalid_argument("odd: not an odd number");
    return arguments[0];
  });
  try {
    database.integer("SELECT odd(2)");
    ADD_FAILURE() << "the exception was lost";
  } catch (const Error& failure) {
    EXPECT_THAT(failure.what(), ::testing::HasSubstr("odd: not an odd number"));
    EXPECT_EQ(failure.advice(), Advice::stop);
  }
  EXPECT_EQ(database.integer("SELECT odd(3)"), 3);
}

TEST(SqliteFunction, TheNumberOfArgumentsIsChecked) {
  Database database = Database::in_memory();
  database.create_function("one", 1, echo);
  EXPECT_THROW(database.prepare("SELECT one(1, 2)"), Error);
  EXPECT_THROW(database.create_function("one", 1000, echo), Error);
}

}  // namespace
}  // namespace tidegate::sqlite
