#include "apply/sqlite/legacy_writes.hpp"

#include "apply/plan.hpp"
#include "db/error.hpp"
#include "proto/change.hpp"

namespace tidegate {
namespace {

bool is_constraint(const Error& error) {
  return error.code().starts_with("SQLITE_CONSTRAINT");
}
// May pass once other rows of the batch have moved.
bool is_clash(const Error& error) {
  return error.code() == "SQLITE_CONSTRAINT_UNIQUE";
}

std::string reason_of(const Error& error) {
  if (is_clash(error)) return "not_unique";
  if (error.code() == "SQLITE_CONSTRAINT_NOTNULL") return "null_key";
  return error.code() == "SQLITE_CONSTRAINT_CHECK" ? "check" : std::string(name_of(Misfit::rejected));
}

}  // namespace

void LegacyWrites::put(LegacyWrite write) {
  try {
    if (!write.held) {
      write.table->insert(write.values);
    } else if (!write.changed.empty()) {
      write.table->update(*write.held, write.values, write.changed);
    }
    done(write);
  } catch (const Error& error) {
    if (!is_constraint(error)) throw;
    if (is_clash(error)) {
      aside_.push_back(std::move(write));
    } else {
      reject(write, "", reason_of(error));
    }
  }
}

// All of them out, then all of them in. The first that the table refuses even so, and why; then nothing of
// this is left.
std::optional<std::size_t> LegacyWrites::put_together(std::string& why) {
  auto& legacy = file_.database();
  legacy.execute("SAVEPOINT tidegate_together");
  for (LegacyWrite& write : aside_) {
    if (write.held) write.table->remove(*write.held);
  }
  for (std::size_t i = 0; i < aside_.size(); ++i) {
    try {
      aside_[i].table->insert(aside_[i].values, aside_[i].held ? aside_[i].held->rowid : std::nullopt);
    } catch (const Error& error) {
      if (!is_constraint(error)) throw;
      why = reason_of(error);
      legacy.execute("ROLLBACK TO tidegate_together; RELEASE tidegate_together");
      return i;
    }
  }
  legacy.execute("RELEASE tidegate_together");
  return std::nullopt;
}

// Each pass settles all, or takes one out that clashes with a row outside of the batch, or with one that was
// taken out before.
void LegacyWrites::settle() {
  std::string why;
  while (!aside_.empty()) {
    const auto refused = put_together(why);
    if (!refused) break;
    reject(aside_[*refused], "", why);
    aside_.erase(aside_.begin() + static_cast<std::ptrdiff_t>(*refused));
  }
  for (const LegacyWrite& write : aside_) done(write);
  aside_.clear();
}

void LegacyWrites::reject(const LegacyWrite& write, const std::string& column, const std::string& reason) {
  file_.hold({write.table->name(), key_as_json(write.key), column, reason, sequence_});
}

// The row is as the target has it, under whatever key it was rejected before.
void LegacyWrites::done(const LegacyWrite& write) {
  if (file_.rejects() == 0) return;
  file_.release(write.table->name(), key_as_json(write.key));
  if (write.found_by) file_.release(write.table->name(), key_as_json(*write.found_by));
}

}  // namespace tidegate
