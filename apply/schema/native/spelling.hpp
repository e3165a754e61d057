// Postgres prints some expressions in a form that it reads back as another, equal one. Pure.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace tidegate::native {

// `x IN ('a', 'b')` of a varchar column is printed as (x)::text = ANY ((ARRAY['a'::character varying,
// …])::text[]), and reading that moves the cast into the array: the target's catalogue would say something
// else than the source's. Written x = ANY (ARRAY['a'::character varying, …]) it becomes what it was. Only
// where `x` is one of `varchars` and all elements are varchar literals, so that both mean the same.
std::string with_short_lists(std::string_view statement, const std::set<std::string>& varchars);

}  // namespace tidegate::native
