// One error type for both databases. It answers what a caller acts on: retry, reconnect, or stop.
#pragma once

#include <source_location>
#include <stdexcept>
#include <string>

namespace tidegate {

enum class Advice {
  stop,       // will fail again; an operator must look
  retry,      // the same on the same connection may succeed (lock timeout, serialization, busy)
  reconnect,  // the connection is gone, or cannot be had now
  in_doubt,   // a COMMIT was sent and its answer was lost: read the position, never repeat blindly
};

// what() is for operators: operation, object, cause. It holds no row value: of a server's message only the
// primary part is kept where the SQLSTATE is known to quote no data, else the SQLSTATE's condition name.
class Error : public std::runtime_error {
 public:
  Error(const std::string& message, std::string code, Advice advice,
        std::source_location where = std::source_location::current())
      : std::runtime_error(message), code_(std::move(code)), advice_(advice), where_(where) {}

  const std::string& code() const { return code_; }  // SQLSTATE, or "SQLITE_…"; empty where there is none
  Advice advice() const { return advice_; }
  const std::source_location& where() const { return where_; }

  // Constraint, table and column that the server named with the error; empty where it named none.
  std::string constraint, table, column;

 private:
  std::string code_;
  Advice advice_;
  std::source_location where_;
};

// A sentence for an operator with a stable code (`tidegate explain CODE`) and the way out, where it has them:
// what() is "message; mend".
class Sentence : public std::runtime_error {
 public:
  explicit Sentence(const std::string& text) : std::runtime_error(text), message_(text) {}
  Sentence(std::string code, std::string message, std::string mend)
      : std::runtime_error(mend.empty() ? message : message + "; " + mend),
        code_(std::move(code)),
        message_(std::move(message)),
        mend_(std::move(mend)) {}

  const std::string& code() const { return code_; }  // empty where it has none
  const std::string& message() const { return message_; }
  const std::string& mend() const { return mend_; }

 private:
  std::string code_, message_, mend_;
};

// A check that refuses before anything was changed: exit code 2.
class Refused : public Sentence {
 public:
  using Sentence::Sentence;
};

// Words on the command line or in a file that cannot be used: exit code 4.
class Usage : public Sentence {
 public:
  using Sentence::Sentence;
};

}  // namespace tidegate
