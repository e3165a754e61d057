// What is wrong with a mapping, in sentences that begin with the place in the file.
#pragma once

#include <string>

#include "apply/mapping/definition.hpp"
#include "db/error.hpp"
#include "proto/change.hpp"

namespace tidegate {

// `what`: "an expression", "a condition".
Refused not_an_expression(const PlacedText& text, const std::string& what);
Refused not_repeatable_expression(const PlacedText& text, const std::string& what);
// `offset`: of the complaint in the text; -1: not known.
Refused does_not_compile(const PlacedText& text, int offset, const std::string& complaint,
                         const Relation& source);
// Of [map.reverse]: over none of the map's outputs.
Refused reverse_does_not_compile(const PlacedText& text, int offset, const std::string& complaint,
                                 const MapDefinition& map);
Refused reverse_of_no_column(const MapColumn& reverse, const MapDefinition& map);
// `name`: "rows", "born"; the server says why.
Refused condition_is_refused(const PlacedText& text, const std::string& name, const MapTarget& target,
                             const std::string& complaint);
Refused key_is_not_mapped(const MapTarget& target, const std::string& column);
Refused key_reads_more(const std::string& where, const MapDefinition& map);
Refused key_may_be_shared(const MapTarget& target, const MapDefinition& map);
Refused no_source_key(const MapDefinition& map);
// `where`: of the later one's table.
Refused two_owners(const MapTarget& target, const std::string& first);
Refused no_owner(const MapTarget& target);
Refused type_of_no_column(const MapType& type);
Refused no_such_table(const MapDefinition& map);

// The place moved to the right by `offset` bytes of a text that began there with one quote.
std::string place_within(const std::string& where, int offset);

}  // namespace tidegate
