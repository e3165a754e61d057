// One command line, read. Verbs get this and nothing else.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "replicator/config/load.hpp"

namespace tidegate::cli {

struct Invocation {
  std::string verb;  // "status", "quarantine list"
  Flags flags;
  bool yes = false, json = false;
  int verbose = 0;
  std::filesystem::path folder;  // where it was typed
  Environment environment;       // of the process

  // Each is set by the verbs named beside it only.
  bool watch = false;                                // status
  bool follow = false, values = false;               // events
  bool all = false;                                  // quarantine retry, accept
  bool force = false;                                // init
  bool empty_target = false;                         // reset
  bool way_back = false;                             // resync
  std::string confirm;                               // reset, resync, backup restore: the pipeline's name
  std::string to;                                    // backup restore: FILE
  std::optional<std::chrono::milliseconds> timeout;  // sync, stop
  struct Cutover {                                   // rollback too
    bool dry_run = false, rehearse = false, go_on = false, no_way_back = false, accept_failed_writes = false;
    bool accept_loss = false;
    std::string confirm;
    std::optional<std::chrono::milliseconds> max_hold, max_lag;
    std::optional<std::uint64_t> attempts;
  } cutover;
  std::optional<std::uint64_t> rate;              // throttle, verify: rows per second; absent: off
  std::vector<std::string> verify_tables;         // verify --table
  std::optional<std::uint64_t> sample;            // verify, login-check
  bool dry_run = false;                           // repair
  bool legacy_gone = false;                       // finalize
  bool counts = false, continuous = false;        // verify
  std::optional<std::chrono::milliseconds> rest;  // verify --continuous
  int verify_jobs = 0;                            // verify --jobs
  std::string html;                               // verify, verify status: FILE
  std::string out;                                // credentials export: a file
  std::vector<std::string> ids;                   // quarantine show, retry, accept
  std::string word;  // explain CODE; try DB; login-check EMAIL ("" where it was not given)
};

// The settings in force, with the verb's purpose; see config/load.hpp.
Settings settings_of(const Invocation& invocation, Purpose purpose);

// The state directory that a verb means: what flags, environment and file name; else the only one under
// ./.tidegate; else the only running pipeline of this machine. Throws Usage that lists the candidates.
std::filesystem::path find_state_dir(const Invocation& invocation);

}  // namespace tidegate::cli
