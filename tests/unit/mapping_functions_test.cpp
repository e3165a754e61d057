#include "apply/mapping/functions/functions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apply/mapping/functions/array_text.hpp"
#include "apply/mapping/functions/epoch.hpp"
#include "apply/mapping/functions/person.hpp"
#include "apply/mapping/functions/phone.hpp"
#include "db/error.hpp"
#include "unit/phone_vectors.hpp"

namespace tidegate {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Phone, AsWrittenInEachRegion) {
  for (const auto& vector : testing_support::phone_vectors) {
    if (std::string_view(vector.region) == "AR")
      continue;  // says 15 inside a mobile number, which E.164 has as 9 before it
    EXPECT_EQ(e164(vector.national, vector.region), vector.e164) << vector.region << ' ' << vector.national;
  }
  EXPECT_EQ(e164("011 15-2345-6789", "AR"), std::nullopt);
}

TEST(Phone, AsDialledInAnotherCountry) {
  for (const auto& vector : testing_support::phone_vectors) {
    if (std::string_view(vector.region) == "DE") continue;
    EXPECT_EQ(e164(vector.from_germany, "DE"), vector.e164) << vector.region << ' ' << vector.from_germany;
  }
}

TEST(Phone, SpellingsOfOneNumber) {
  for (const char* phone :
       {"030 1234567", "+49 30 1234567", "+49 (0)30 1234567", "+49(0) 30/123-45.67", "0049301234567",
        "(030) 123 45 67", "tel:+49-30-1234567", "030 1234567 ext. 12", "030 1234567x3"})
    EXPECT_EQ(e164(phone, "de"), "+49301234567") << phone;
  for (const char* phone : {"0049 (0)30 1234567", "+49 030 1234567", "0049 030 1234567"})
    EXPECT_EQ(e164(phone, "FR"), "+49301234567") << phone;
  EXPECT_EQ(e164("0031 (0)6 12345678", "NL"), "+31612345678");
  EXPECT_EQ(e164("011 44 (0)20 7946 0958", "US"), "+442079460958");
  EXPECT_EQ(e164("+41 079 123 45 67", "CH"), "+41791234567");
  EXPECT_EQ(e164("+61 (04) 1234 5678", "AU"), "+61412345678");
  EXPECT_EQ(e164("+7 (8) 812 1234567", "RU"), "+78121234567");
  EXPECT_EQ(e164("+39 06 6982", "DE"), "+39066982");
  EXPECT_EQ(e164("+34 (0)912 345 678", "DE"), "+34912345678");
  EXPECT_EQ(e164("+34 0912 345 678", "DE"), std::nullopt);  // ten digits are none of Spain's
  EXPECT_EQ(e164("8 (912) 345-67-89", "RU"), "+79123456789");
  EXPECT_EQ(e164("(812) 345-67-89", "RU"), "+78123456789");
  EXPECT_EQ(e164("06 6982", "IT"), "+39066982");  // Italy keeps its zero
  EXPECT_EQ(e164("(415) 555-2671", "US"), "+14155552671");
  EXPECT_EQ(e164("1-415-555-2671", "US"), "+14155552671");
}

TEST(Phone, WhatIsNoNumberIsNotMadeOne) {
  for (const char* phone :
       {"", "+", "12", "ask mother", "030 1234567, 0170 9999999", "1-800-FLOWERS", "+999 123 456 789",
        "030 1234567 0170 9999999", "+49 1", "0301234567890123456", "+1234"})
    EXPECT_EQ(e164(phone, "DE"), std::nullopt) << phone;
  EXPECT_THROW(e164("030 1234567", "Germany"), std::invalid_argument);
}

TEST(Person, NamesAreSplit) {
  const struct {
    const char *full, *first, *last;
  } names[] = {{"Ann Berg", "Ann", "Berg"},
               {"  Ann   Lee\tBerg ", "Ann Lee", "Berg"},
               {"Ann", "Ann", ""},
               {"", "", ""},
               {"Maria Anna van der Berg", "Maria Anna", "van der Berg"},
               {"Ludwig von", "Ludwig", "von"},
               {"van Gogh", "van", "Gogh"},
               {"Berg, Maria Anna", "Maria Anna", "Berg"},
               {"Martin Luther King Jr.", "Martin Luther", "King Jr."},
               {"Martin King, Jr.", "Martin", "King, Jr."},
               {"Zo\xc3\xab \xc3\x96zdemir", "Zo\xc3\xab", "\xc3\x96zdemir"}};
  for (const auto& [full, first, last] : names) {
    EXPECT_EQ(split_name(full).first, first) << full;
    EXPECT_EQ(split_name(full).last, last) << full;
  }
}

TEST(Person, AMissingEmailIsTheKeysOwn) {
  EXPECT_EQ(missing_email(std::int64_t{57}, "Missing.Invalid"), "no-email-57@missing.invalid");
  EXPECT_EQ(missing_email(std::string("student-5"), "x.org"), "no-email-student-5@x.org");
  EXPECT_EQ(missing_email(std::string("Ann B"), "x.org"), "no-email-x2185bfc4fa44346b687c792d39c395a6@x.org");
  // Keys that differ only in case, or in their storage class, are different users.
  EXPECT_NE(missing_email(std::string("A"), "x.org"), missing_email(std::string("a"), "x.org"));
  EXPECT_NE(missing_email(std::string("57"), "x.org"), missing_email(std::int64_t{57}, "x.org"));
  EXPECT_THROW(missing_email(std::int64_t{1}, "no domain"), std::invalid_argument);
  EXPECT_THROW(missing_email(std::int64_t{1}, ""), std::invalid_argument);
}

TEST(ArrayText, JsonBecomesALiteral) {
  EXPECT_EQ(json_to_array("[]"), "{}");
  EXPECT_EQ(json_to_array(" [ \"a\" , 1.50, true,null ] "), R"({"a",1.50,true,NULL})");
  EXPECT_EQ(json_to_array(R"(["NULL","","a\"b\\c","d,e","\u00e9","{x}"])"),
            "{\"NULL\",\"\",\"a\\\"b\\\\c\",\"d,e\",\"\xc3\xa9\",\"{x}\"}");
  EXPECT_EQ(json_to_array("[[1,2],[3,4]]"), "{{1,2},{3,4}}");
  EXPECT_EQ(json_to_array(R"([{"a":["]}\""]},123456789012345678901])"),
            R"({"{\"a\":[\"]}\\\"\"]}",123456789012345678901})");
  for (const char* wrong : {"", "{}", "1", "\"a\"", "[1", "[1,]", "[\"\\u0000\"]", "[[[[[[[1]]]]]]]"})
    EXPECT_THROW(json_to_array(wrong), std::invalid_argument) << wrong;
}

TEST(ArrayText, ALiteralBecomesJson) {
  EXPECT_EQ(array_to_json("{}", ElementKind::text), "[]");
  EXPECT_EQ(array_to_json(R"({a,"b c",NULL,"NULL","q\"\\"})", ElementKind::text),
            R"(["a","b c",null,"NULL","q\"\\"])");
  EXPECT_EQ(array_to_json("{{1,2},{3,NULL}}", ElementKind::number), "[[1,2],[3,null]]");
  EXPECT_EQ(array_to_json("{t,f,NULL}", ElementKind::boolean), "[true,false,null]");
  EXPECT_EQ(array_to_json("[0:1]={1.50,-2}", ElementKind::number), "[1.50,-2]");
  for (const char* wrong : {"", "a", "{", "{a", "{a}}", "{a,}", "{\"a}", "{a\"b\"}", "{,}"})
    EXPECT_THROW(array_to_json(wrong, ElementKind::text), std::invalid_argument) << wrong;
  for (const char* wrong : {"{x}", "{NaN}", "{\"\"}", "{01}"})
    EXPECT_THROW(array_to_json(wrong, ElementKind::number), std::invalid_argument) << wrong;
}

TEST(ArrayText, ThereAndBackIsTheSame) {
  for (const std::string json : {R"(["a","b,c","\"","\\","NULL",null,"ä {}"])", R"([["a"],["b"]])", "[]"})
    EXPECT_EQ(array_to_json(json_to_array(json), ElementKind::text), json);
}

TEST(Epoch, NumbersBecomeDates) {
  EXPECT_EQ(epoch_to_iso(std::int64_t{0}, TimeUnit::second), "1970-01-01 00:00:00+00");
  EXPECT_EQ(epoch_to_iso(std::int64_t{1709209800}, TimeUnit::second), "2024-02-29 12:30:00+00");
  EXPECT_EQ(epoch_to_iso(std::int64_t{1709209800250}, TimeUnit::millisecond),
            "2024-02-29 12:30:00.250000+00");
  EXPECT_EQ(epoch_to_iso(1709209800.123457, TimeUnit::second), "2024-02-29 12:30:00.123457+00");
  EXPECT_EQ(epoch_to_iso(std::int64_t{-1}, TimeUnit::microsecond), "1969-12-31 23:59:59.999999+00");
  EXPECT_EQ(epoch_to_iso(std::int64_t{253402300800}, TimeUnit::second), std::nullopt);
  EXPECT_EQ(epoch_to_iso(std::int64_t{1} << 62, TimeUnit::second), std::nullopt);
  EXPECT_EQ(epoch_to_iso(0.0 / 0.0, TimeUnit::second), std::nullopt);
}

TEST(Epoch, DatesBecomeNumbers) {
  EXPECT_EQ(iso_to_epoch("1970-01-01", TimeUnit::second), 0);
  EXPECT_EQ(iso_to_epoch("2024-02-29T12:30:00Z", TimeUnit::second), 1709209800);
  EXPECT_EQ(iso_to_epoch("2024-02-29 14:30:00+02:00", TimeUnit::second), 1709209800);
  EXPECT_EQ(iso_to_epoch("2024-02-29 07:00:00-0530", TimeUnit::second), 1709209800);
  EXPECT_EQ(iso_to_epoch("2024-02-29 12:30:00.2509", TimeUnit::millisecond), 1709209800250);
  EXPECT_EQ(iso_to_epoch("1969-12-31 23:59:59.5", TimeUnit::second), -1);
  for (const char* wrong : {"", "12:30", "2024-02-30", "yesterday", "0000-00-00"})
    EXPECT_EQ(iso_to_epoch(wrong, TimeUnit::second), std::nullopt) << wrong;
}

class MappingFunctions : public ::testing::Test {
 protected:
  MappingFunctions() {
    add_functions(database_, {TemporaryPasswords("0123456789abcdef0123456789abcdef", "codopia")});
  }
  std::string text(const std::string& expression) { return database_.text("SELECT " + expression); }
  std::string refusal(const std::string& expression) {
    try {
      text(expression);
    } catch (const Error& failure) {
      return failure.what();
    }
    return "";
  }
  sqlite::Database database_ = sqlite::Database::in_memory();
};

TEST_F(MappingFunctions, AreCalledFromSql) {
  EXPECT_EQ(text("password_hash('pbkdf2:sha256:1$a$b') || password_kind('pbkdf2:sha256:1$a$b')"),
            "werkzeug_pbkdf2");
  EXPECT_EQ(text("password_kind(x'24326224303424') || password_hash(NULL) || password_kind(NULL)"),
            "damagednone");
  EXPECT_EQ(text("temporary_password(57)"), "$2b$04$kc/pInPV.UHtZN9Jvtesz.yc7BJUXU1gBXTzr2biJilPHfxfuNSgC");
  EXPECT_EQ(text("missing_email(5, 'x.org')"), "no-email-5@x.org");
  EXPECT_EQ(text("split_name('Ann Berg', 'last')"), "Berg");
  EXPECT_EQ(text("e164(301234567, 'DE')"), "+49301234567");
  EXPECT_EQ(text("e164('ask', 'DE', 'none')"), "none");
  EXPECT_EQ(text("json_to_array('[1]') || array_to_json('{1}') || array_to_json('{1}', 'number')"),
            "{1}[\"1\"][1]");
  EXPECT_EQ(text("epoch_to_iso(0) || iso_to_epoch('1970-01-02', 'ms')"), "1970-01-01 00:00:00+0086400000");
}

TEST_F(MappingFunctions, NullAndBlankAreNull) {
  for (const char* call : {"e164(NULL, 'DE')", "e164(' ', 'DE')", "split_name(NULL, 'first')",
                           "json_to_array(NULL)", "array_to_json(NULL)", "epoch_to_iso(NULL)",
                           "iso_to_epoch(NULL)", "missing_email(NULL, 'x')", "temporary_password(NULL)"})
    EXPECT_EQ(text(std::string(call) + " IS NULL"), "1") << call;
}

TEST_F(MappingFunctions, ErrorsNameTheFunctionAndNoValue) {
  for (const char* call :
       {"e164('secret', 'DE')", "e164('030 1234567', 'secret')", "split_name('secret', 'middle')",
        "json_to_array('secret')", "array_to_json('secret')", "array_to_json('{secret}', 'number')",
        "iso_to_epoch('secret')", "epoch_to_iso('secret')", "missing_email('secret', 'no domain')",
        "epoch_to_iso(1, 'secret')"}) {
    const std::string name = std::string(call).substr(0, std::string_view(call).find('('));
    EXPECT_THAT(refusal(call), HasSubstr(name + ": ")) << call;
    EXPECT_THAT(refusal(call), Not(HasSubstr("secret"))) << call;
  }
}

TEST(MappingFunctionsAlone, WithoutASecretThereAreNoTemporaryPasswords) {
  sqlite::Database database = sqlite::Database::in_memory();
  add_functions(database, {});
  EXPECT_THROW(database.text("SELECT temporary_password(1)"), Error);
}

}  // namespace
}  // namespace tidegate
