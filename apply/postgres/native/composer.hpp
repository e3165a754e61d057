// From steps to commands. Keeps the quarantine's account as it goes: what it composes must be run, or the
// account be restored.
#pragma once

#include <span>
#include <vector>

#include "apply/postgres/native/keyless.hpp"
#include "apply/postgres/native/net.hpp"
#include "apply/postgres/native/step.hpp"
#include "apply/postgres/outside_references.hpp"
#include "apply/postgres/quarantine.hpp"

namespace tidegate::native {

class Composer {
 public:
  using Commands = std::vector<postgres::Command>;

  Composer(TargetSession& session, Quarantine& quarantine, const OutsideReferences& references)
      : session_(session), quarantine_(quarantine), names_(quarantine), references_(references) {}

  // Set-based where the steps allow it; the rest in order between.
  Commands set_based(std::span<const Step> steps, std::uint64_t sequence);
  // Where tables outside of the plans refer to one that is truncated, the server refuses TRUNCATE: from now
  // on rows are deleted instead, and those tables follow as their foreign keys say.
  void truncate_by_delete(bool on) { truncate_by_delete_ = on; }

  // Each step by itself.
  Commands in_order(std::span<const Step> steps, std::uint64_t sequence);
  // The target refused this step. Undoes what would be left of the row under another name, and holds it.
  // The first commands may be refused by the target in turn; then the second do.
  struct Refusal {
    Commands try_first, otherwise, finally;
  };
  Refusal refuse(const Step& step, const Error& error, std::uint64_t sequence);

 private:
  bool is_held(const Step& step) const;
  bool is_held(const Table& table, const Row& row) const;
  bool needs_order(const Step& step) const;
  void ordered(const Step& step, std::uint64_t sequence, Commands& out);
  void hold_unmapped(const Step& step, const NamedMisfit& misfit, std::uint64_t sequence, Commands& out);
  void by_itself(const Step& step, Commands& out);
  void of_held_row(const Step& step, Commands& out);
  void truncate(const Step& step, Commands& out);
  void move(const Step& step, std::uint64_t sequence, Commands& out);
  void move_columns(const Step& step, const Columns& columns, bool counted, Commands& out);
  void without_key(const Step& step, Commands& out);
  void update_without_key(const Step& step, Commands& out);
  void remove_one(const Step& step, const Row& row, Commands& out);
  void flush(Net& net, Commands& out);
  void removes(const Net::TableRows& table, Commands& out);
  void remove_rows(Target& target, const std::vector<const Row*>& rows, bool counted, Commands& out);
  void updates(const Net::TableRows& table, Commands& out);
  void contributions(const Net::TableRows& table, Commands& out);
  void upserts(const Net::TableRows& table, Commands& out);
  void delete_all(const Target& target, bool restart_sequences, Commands& out);
  void release(const Table& table, const std::string& key, Commands& out);
  void release_if_held(const Table& table, const Row& row, Commands& out);
  Refusal refuse_move(const Step& step, const Reject& why, bool missing, std::uint64_t sequence);
  Refusal refuse_keyless(const Step& step, const Error& error, bool missing, std::uint64_t sequence);

  TargetSession& session_;
  Quarantine& quarantine_;
  KeylessNames names_;
  const OutsideReferences& references_;
  bool truncate_by_delete_ = false;
};

}  // namespace tidegate::native
