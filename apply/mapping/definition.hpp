// A mapping as the operator wrote it, each text with its place in the file. Plain data.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace tidegate {

struct PlacedText {
  std::string text;
  std::string where;  // "tidegate.toml:12:3"
};

struct MapColumn {
  std::string target;
  PlacedText expression;
};

struct MapType {
  std::string column;
  PlacedText type;  // "public.tier"
};

// One [[map.to]].
struct MapTarget {
  std::string schema, table;
  std::string where;  // its place in the file
  std::vector<MapColumn> columns;
  std::vector<MapType> types;
  std::vector<std::string> key;         // target columns; empty: "id"
  std::optional<PlacedText> condition;  // beside the map's own
  bool contributor = false;             // of rows that another map owns
  std::optional<PlacedText> rows;       // Postgres condition on the target's columns: the rows of this owner
  // The same of rows that were born on the target, where `rows` cannot tell whose they are. For the way back.
  std::optional<PlacedText> born = {};
};

// One [[map]].
struct MapDefinition {
  std::string from;
  std::string where;  // its place in the file
  std::optional<PlacedText> condition;
  std::vector<MapTarget> to;
  // [map.reverse]: `target` is the column of the source's table that the expression gives on the way back.
  std::vector<MapColumn> reverse = {};
};

// All that decides what rows become on the target, without places: equal texts are equal mappings.
std::string text_of(const std::vector<MapDefinition>& maps);

// Does some expression make temporary passwords?
bool needs_credentials_secret(const std::vector<MapDefinition>& maps);

}  // namespace tidegate
