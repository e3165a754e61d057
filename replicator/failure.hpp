// How a failure is told to an operator: one sentence, a stable code for `tidegate explain`, the way out, an
// exit code.
#pragma once

#include <exception>
#include <optional>
#include <stdexcept>
#include <string>

#include "db/error.hpp"

namespace tidegate {

enum class Exit { done = 0, failed = 1, refused = 2, differences = 3, usage = 4, timed_out = 5 };

// `message` is the cause, `mend` the way out; neither holds a row value or a secret.
struct Told {
  std::string code, message, mend;
  std::optional<Exit> exit;  // absent: the exception's own type decides
};

// Refused, Usage or std::runtime_error with its code and way out: what() is "message; mend".
template <typename Root>
class Coded : public Root, public Told {
 public:
  Coded(std::string code, std::string message, std::string mend = {}, std::optional<Exit> exit = {})
      : Root(mend.empty() ? message : message + "; " + mend),
        Told{std::move(code), std::move(message), std::move(mend), exit} {}
};

// Says the same of any exception; one that is not ours has the code "failed".
Told told(const std::exception& failure);
Exit exit_of(const std::exception& failure);

// {"error": {"code", "message", "mend", "exit"}}: what the API answers and what `--json` prints.
std::string error_json(const Told& told, Exit exit);

}  // namespace tidegate
