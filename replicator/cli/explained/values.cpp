#include "replicator/cli/explained/explained.hpp"

namespace tidegate::cli {
namespace {

constexpr Explanation explanations[] = {
    // Values that do not fit.
    {"zero_date", "A date column holds 0000-00-00.", "[[rule]] on = \"zero_date\", do = \"null\"."},
    {"not_a_boolean", "A boolean column holds something that is not 0 or 1.",
     "Mend the rows in the source, or [[rule]] do = \"null\" or \"text\"."},
    {"epoch", "A date column holds a number: seconds or milliseconds since 1970.",
     "[[rule]] on = \"epoch\", do = \"convert\"."},
    {"julian", "A date column holds a Julian day.", "[[rule]] on = \"julian\", do = \"convert\"."},
    {"empty", "A column that is no text holds an empty text.", "[[rule]] on = \"empty\", do = \"null\"."},
    {"nul", "A text holds a NUL character, which Postgres cannot store.",
     "[[rule]] on = \"nul\", do = \"strip\"."},
    {"invalid_utf8", "A text is not valid UTF-8.",
     "[[rule]] on = \"invalid_utf8\", do = \"strip\", or mend the rows in the source."},
    {"not_a_number", "A column of numbers holds a text that is none.",
     "Mend the rows in the source, or [[rule]] do = \"null\" or \"text\"."},
    {"out_of_range", "A number is larger than the target's column takes.",
     "Widen the target's column, or [[rule]] do = \"null\" or \"text\"."},
    {"too_long", "A text is longer than the target's varchar.",
     "Widen the target's column, or [[rule]] do = \"strip\"."},
    {"invalid_json", "A JSON column holds a text that is not JSON.",
     "Mend the rows in the source, or [[rule]] do = \"null\" or \"text\"."},
    {"not_a_time", "A date or time column holds a text that is none.",
     "Mend the rows in the source, or [[rule]] do = \"null\" or \"text\"."},
    {"wrong_class",
     "The value's storage class cannot be the column's type, a blob in a column of numbers, say.",
     "Mend the row in the source, then `tidegate quarantine retry --all`."},
    {"null_key", "A primary key column holds NULL, which Postgres does not take.",
     "Give the row a key in the source, then `tidegate quarantine retry --all`."},
    {"rejected", "The target refused the row: a constraint or trigger of its own.",
     "`tidegate quarantine show ID` names the constraint; mend row or constraint, then `tidegate quarantine "
     "retry`."},
    {"map-expression",
     "An expression or condition of a [[map]] is not SQL that the source's row can be put into.",
     "Correct it at the place that was named; columns are those of the table in `from`, functions are "
     "SQLite's and "
     "those of README.md, \"Mapping\"."},
    {"map-condition",
     "`rows` or `born` of a [[map.to]] is not SQL that the target takes as a condition on a row of that "
     "table.",
     "Correct it at the place that was named; it is Postgres SQL over the columns of the target's table."},
    {"map-not-repeatable",
     "An expression of a [[map]] depends on the time or on chance, so a replay after a crash would write "
     "other rows.",
     "Take the value from the row, or leave the column to the target's default."},
    {"map-key", "The key of a [[map.to]] names a column that the map does not fill.",
     "Map that column, or name the target's key with key = [\"…\"]; without it the key is id."},
    {"no-keys", "The state directory has no key memory: its pipeline has no mapping, or never ran.",
     "Name the pipeline with --state DIR."},
    {"no-such-pipeline", "The target's schema tidegate knows no pipeline of this name.",
     "Use the configuration with which it ran; the name is [pipeline] name."},
    {"target-tables-needed",
     "`reset --target` drops the tables that tidegate made, and a view or a foreign key of somebody else "
     "depends on one of them. No table was dropped.",
     "Drop it first; DROP TABLE in psql, without CASCADE, names what depends on a table."},
    {"not-confirmed", "A verb that takes data away wants the pipeline's name once more.",
     "Add --confirm NAME."},
    {"map-two-owners", "Two maps own rows of one target table, and nothing says which rows are whose.",
     "Give each rows = \"a condition on the target's columns\", make the keys surrogate() or uuid() with "
     "another first "
     "word for each source, or make one a contributor."},
    {"map-no-owner", "A map only contributes columns to a target table whose rows no map owns.",
     "Leave role = \"contributor\" out."},
    {"map-truncated", "A mapped table was truncated while its first copy was under way.",
     "`tidegate reset --target`, and begin again."},
    {"map-type",
     "A type that a [[map.to]] names is not the type of the target's column, or values cannot be cast to it.",
     "Correct `types` or the expression at the place that was named, or change the column with a migration."},
    {"map-no-such-table", "A [[map]] reads a table that the source does not have, or that is left out.",
     "Correct `from`, or include the table ([tables] include)."},
    {"map-column-not-read", "No [[map]] reads this column of a mapped table, so its values stay behind.",
     "Map it, or ignore this."},
    {"check-without-table",
     "A [[check]] names a table that nothing fills, so it says nothing of any row. With a [[map]] it is the "
     "target's table that counts.",
     "Name the table as the target has it (\"public.children\")."},
    {"rule-without-table",
     "A [[rule]] names a table that is not copied as it is, so no value meets it. What a [[map]] takes is "
     "mended in its expressions.",
     "Correct the name, or say it in the expression."},
    {"map-column-not-filled",
     "No [[map]] fills this column of a mapped target table, so each row gets its default.",
     "Fill it, or ignore this."},
    {"mapping-changed",
     "The [[map]] sections are not those with which this pipeline began. Rows that are in the target came "
     "from the old "
     "ones, so going on would mix two mappings.",
     "Bring the old mapping back, or empty the target with `tidegate reset --target` and begin again."},
    {"expression_failed", "An expression of the mapping failed for this row; the column is named.",
     "Mend the row in the source, or the expression; the row is tried again when it changes, or with "
     "`tidegate "
     "quarantine retry`."},
    {"other_owner",
     "On the way back: the row is in the table of another owner than the one that its key is known to be of, "
     "or refers to a key of another table's, so that the legacy row it would become is not known.",
     "Take the row out of the other owner's table on the target, or make a new row there; the way back tries "
     "it again with each batch."},
    {"owner_unknown",
     "On the way back: a row that was born on the target in a table that several maps fill, and nothing says "
     "yet which legacy table it belongs to.",
     "Give it what tells its owner (its role, its row in the owner's own table); where nothing can, write "
     "born "
     "= \"condition\" into the owner's [[map.to]], or let the rollback lose it: --accept-loss."},
    {"not_inserted",
     "On the way back: a contributor's column was filled for a row that the contributor's own legacy table "
     "does not have, and a contributor inserts no rows.",
     "Empty the column on the target, or let the rollback lose it: --accept-loss."},
    {"row_missing",
     "The source changed or deleted a row that the target does not have: something else has written there.",
     "`tidegate quarantine retry --all` reads the row from the source again."},
    {"rules",
     "The words of a [[rule]]: table, column, on (zero_date, not_a_boolean, epoch, julian, empty, nul, "
     "invalid_utf8, not_a_number, out_of_range, too_long, invalid_json, not_a_time) and do (null, strip, "
     "text, convert, quarantine).",
     "Without a rule a value that does not fit is quarantined, and the other rows go on."},
};

}  // namespace

std::span<const Explanation> explained_values() {
  return explanations;
}

}  // namespace tidegate::cli
