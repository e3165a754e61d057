#include "replicator/cutover/proof.hpp"

#include <fmt/format.h>

#include <memory>

#include "replicator/journal/journal.hpp"

namespace tidegate::cutover {
namespace {

std::string contradiction(const TargetScene& scene, std::uint64_t sequence, const std::string& digest) {
  auto row = scene.session.connection().run(
      "SELECT p.sequence, p.digest, (SELECT count(*) FROM tidegate.quarantine AS q WHERE q.pipeline = "
      "p.pipeline AND q.state = 'held') FROM tidegate.pipelines AS p WHERE p.pipeline = $1",
      {scene.session.pipeline()});
  if (row.rows() != 1) return "the target does not know the pipeline";
  if (row.integer(0, 0) != static_cast<std::int64_t>(sequence) || row.text(0, 1) != digest)
    return fmt::format("the target is at position {}, the journal ends at {}", row.integer(0, 0), sequence);
  if (row.integer(0, 2) > 0)
    return fmt::format("{} rows of the last changes went to the quarantine", row.integer(0, 2));
  return "";
}

}  // namespace

std::optional<Proof> prove_target(Parts& parts, std::uint64_t sequence, Clock::time_point until) {
  JournalReader journal(parts.state_path);
  const std::string digest = journal.digest_at(sequence).value_or("");
  auto proof = std::make_shared<Proof>();
  auto work = [=, &legacy = parts.legacy](SourceView& view, const TargetScene& scene) {
    legacy.hand_over_ids(view, scene);
    proof->contradiction = contradiction(scene, sequence, digest);
  };
  if (!on_target(parts, work, until)) return std::nullopt;
  return *proof;
}

}  // namespace tidegate::cutover
