// One end of a pipeline as an operator names it: a SQLite file or a Postgres server. Pure: opens nothing.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate {

struct Endpoint {
  enum class Kind { none, sqlite, postgres };
  Kind kind = Kind::none;
  std::string path;                                             // sqlite
  std::string host, port, user, password, dbname;               // postgres; empty: libpq's default
  std::vector<std::pair<std::string, std::string>> parameters;  // postgres: further libpq keywords, decoded
  bool operator==(const Endpoint&) const = default;
};

// A plain path; sqlite:////abs/path; sqlite:///file or sqlite:///./relative/path; postgresql://, postgres://
// and postgresql+DRIVER://. Throws Usage with the way out; its message never holds a password.
Endpoint parse_endpoint(std::string_view text);

// Does the text carry a secret? True for a text that parse_endpoint refuses too, where one can be seen in it.
bool holds_password(std::string_view text);

// Throws Usage if `text`, given with `flag` on the command line, holds a password: others could read it in
// the process list. The sentence names `variable` and the other ways.
void refuse_password(std::string_view flag, std::string_view text, std::string_view variable);

// Throws Refused for the port of a transaction-mode pooler (6543), which breaks session state.
void refuse_transaction_pooler(const Endpoint& end);

// For people: a path, or postgresql://user:***@host:port/dbname?... without secrets.
std::string masked(const Endpoint& end);
// Any text with passwords in URLs and in password=… replaced by ***.
std::string masked_text(std::string_view text);

// libpq's keyword='value' string, secrets included: for PQconnectdb only. With a ca_file TLS is verify-full;
// without one it is at least `require` unless the server is on this machine, or the URL's own sslmode says
// otherwise.
std::string conninfo(const Endpoint& end, const std::string& ca_file);

// [a-z0-9_-], from the file's stem or the database's name; "pipeline" where nothing is left.
std::string default_pipeline_name(const Endpoint& source);

}  // namespace tidegate
