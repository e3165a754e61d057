#include "replicator/pipeline/rounded_columns.hpp"

#include <gtest/gtest.h>

namespace tidegate {
namespace {

TEST(RoundedColumns, WhatATypeChangesInSilenceIsNamed) {
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"double precision", "real"},
           {"integer", "real"},
           {"numeric(10,2)", "numeric(10,1)"},
           {"numeric", "numeric(10,2)"},
           {"double precision", "numeric(10,2)"},
           {"numeric", "double precision"},
           {"bigint", "double precision"},
           {"numeric(10,2)", "money"},
           {"text", "character(3)"},
           {"text", "name"},
           {"timestamp without time zone", "date"},
           {"timestamp with time zone", "time without time zone"},
           {"timestamp with time zone", "timestamp(3) with time zone"},
           {"timestamp(4) without time zone", "timestamp(3) with time zone"}})
    EXPECT_NE(silent_change(from, to), "") << from << " -> " << to;
}

TEST(RoundedColumns, WhatFitsOrIsRefusedByTheServerIsNot) {
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"real", "real"},
           {"character(3)", "character(3)"},
           {"character(3)", "text"},
           {"numeric(10,2)", "numeric(6,2)"},
           {"integer", "numeric(6,2)"},
           {"bigint", "smallint"},
           {"numeric(10,2)", "double precision"},
           {"real", "double precision"},
           {"date", "timestamp with time zone"},
           {"timestamp without time zone", "timestamp with time zone"},
           {"timestamp(3) without time zone", "timestamp(3) with time zone"},
           {"character varying(100)", "character varying(10)"},
           {"text[]", "text[]"},
           {"json", "jsonb"}})
    EXPECT_EQ(silent_change(from, to), "") << from << " -> " << to;
}

}  // namespace
}  // namespace tidegate
