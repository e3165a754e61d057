#include "replicator/config/url.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "replicator/failure.hpp"
#include "replicator/nearest.hpp"

namespace tidegate {

namespace {

constexpr std::string_view transaction_pooler_port = "6543";  // Supabase's, and what its documents show first

[[noreturn]] void refuse(std::string message, std::string mend = {}) {
  throw Coded<Usage>("bad-url", std::move(message), std::move(mend));
}

std::string or_else(std::string first, std::string second) {
  return first.empty() ? second : first;
}

const std::vector<std::string>& libpq_keywords() {
  static const std::vector<std::string> keywords = {"application_name",
                                                    "channel_binding",
                                                    "client_encoding",
                                                    "connect_timeout",
                                                    "dbname",
                                                    "fallback_application_name",
                                                    "gssencmode",
                                                    "host",
                                                    "hostaddr",
                                                    "keepalives",
                                                    "keepalives_count",
                                                    "keepalives_idle",
                                                    "keepalives_interval",
                                                    "krbsrvname",
                                                    "options",
                                                    "passfile",
                                                    "password",
                                                    "port",
                                                    "require_auth",
                                                    "service",
                                                    "sslcert",
                                                    "sslcrl",
                                                    "sslkey",
                                                    "sslmode",
                                                    "sslpassword",
                                                    "sslrootcert",
                                                    "sslsni",
                                                    "target_session_attrs",
                                                    "tcp_user_timeout",
                                                    "user"};
  return keywords;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::string percent_decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0 || high + low == 0)
      refuse("a '%' in the URL is not followed by two hex digits", "write a literal % as %25");
    plain += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return plain;
}

std::string percent_encoded(std::string_view text) {
  std::string encoded;
  for (const char c : text)
    if (std::isalnum(static_cast<unsigned char>(c)) ||
        std::string_view("-._~,/").find(c) != std::string_view::npos)
      encoded += c;
    else
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  return encoded;
}

// The text up to the first `mark`; `rest` becomes what follows it.
std::string_view cut(std::string_view& rest, char mark) {
  const auto place = rest.find(mark);
  const auto head = rest.substr(0, place);
  rest = place == std::string_view::npos ? std::string_view{} : rest.substr(place + 1);
  return head;
}

void set_keyword(Endpoint& end, const std::string& name, std::string value) {
  const std::array<std::pair<std::string_view, std::string*>, 5> own = {{{"host", &end.host},
                                                                         {"port", &end.port},
                                                                         {"user", &end.user},
                                                                         {"password", &end.password},
                                                                         {"dbname", &end.dbname}}};
  for (const auto& [keyword, field] : own)
    if (keyword == name) {
      *field = std::move(value);
      return;
    }
  const auto& known = libpq_keywords();
  if (std::find(known.begin(), known.end(), name) == known.end())
    refuse(
        fmt::format("the Postgres URL has the parameter '{}', which libpq does not know", masked_text(name)),
        or_else(did_you_mean(name, known), "leave it out, or see PostgreSQL's \"Parameter Key Words\""));
  end.parameters.emplace_back(name, std::move(value));
}

void check_port(const std::string& port) {
  if (port.empty()) return;
  const bool digits = std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || port.size() > 5 || std::stoi(port) < 1 || std::stoi(port) > 65535)
    refuse("the port in the URL is not a number from 1 to 65535",
           "if the password holds one of / ? # @ : write it percent-encoded (/ is %2F, # is %23)");
}

// host, host:port, [v6]:port; several with commas become libpq's lists.
void read_hosts(Endpoint& end, std::string_view hosts) {
  std::string host_list, port_list;
  for (bool first = true; first || !hosts.empty(); first = false) {
    std::string_view one = cut(hosts, ',');
    std::string_view host;
    if (one.starts_with('[')) {
      one.remove_prefix(1);
      host = cut(one, ']');
      if (one.starts_with(':')) one.remove_prefix(1);
    } else {
      host = cut(one, ':');
    }
    const std::string port = percent_decoded(one);
    check_port(port);
    host_list += (first ? "" : ",") + percent_decoded(host);
    port_list += (first ? "" : ",") + port;
  }
  end.host = host_list;
  end.port = port_list.find_first_not_of(',') == std::string::npos ? "" : port_list;
}

void read_user(Endpoint& end, std::string_view user_and_password) {
  end.user = percent_decoded(cut(user_and_password, ':'));
  end.password = percent_decoded(user_and_password);
  if (end.password == "[YOUR-PASSWORD]")
    throw Coded<Usage>("password-placeholder", "the URL still holds Supabase's placeholder [YOUR-PASSWORD]",
                       "put the database's password in its place (Project Settings, Database)");
}

// After "scheme://": [user[:password]@][hosts][/dbname][?name=value&…]. A '@' in the password is let pass:
// the last one before the path ends it.
Endpoint parse_postgres(std::string_view rest) {
  Endpoint end;
  end.kind = Endpoint::Kind::postgres;
  std::string_view query = rest;
  std::string_view place = cut(query, '?');
  const auto path_begins = place.find('/', place.rfind('@') == std::string_view::npos ? 0 : place.rfind('@'));
  std::string_view authority = place.substr(0, path_begins);
  if (path_begins != std::string_view::npos) end.dbname = percent_decoded(place.substr(path_begins + 1));
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    read_user(end, authority.substr(0, at));
    authority.remove_prefix(at + 1);
  }
  read_hosts(end, authority);
  while (!query.empty()) {
    std::string_view value = cut(query, '&');
    const std::string name = percent_decoded(cut(value, '='));
    set_keyword(end, name, percent_decoded(value));
  }
  check_port(end.port.find(',') == std::string::npos ? end.port : "");
  return end;
}

Endpoint sqlite_at(std::string_view path) {
  if (path.empty() || path == ":memory:")
    refuse("a database in memory cannot be replicated: nobody else can open it", "name a SQLite file");
  Endpoint end;
  end.kind = Endpoint::Kind::sqlite;
  end.path = path;
  return end;
}

// After "sqlite:", as SQLAlchemy reads it: four slashes are absolute, three are relative. Many who write
// three with a folder after them mean the absolute path, so that is refused.
Endpoint parse_sqlite(std::string_view rest) {
  if (!rest.starts_with("///"))
    refuse("a SQLite URL begins with sqlite:/// and a file, or sqlite://// and an absolute path",
           "or give the plain path of the file");
  rest.remove_prefix(3);
  if (rest.find('?') != std::string_view::npos)
    refuse("parameters in a SQLite URL are not supported", "leave out the '?' and what follows");
  const std::string path = percent_decoded(rest);
  const bool says_relative = path.starts_with("./") || path.starts_with("../");
  if (!path.starts_with('/') && !says_relative && path.find('/') != std::string::npos)
    throw Coded<Usage>(
        "ambiguous-sqlite-url", fmt::format("sqlite:///{} may mean /{} or ./{}", path, path, path),
        fmt::format("write sqlite:////{} for the absolute path, or ./{} for the relative one", path, path));
  return sqlite_at(path);
}

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// host=… dbname=…, or anything with a password= in it.
bool looks_like_conninfo(std::string_view text) {
  for (const std::string_view keyword : {"host=", "hostaddr=", "dbname=", "user=", "port=", "service="})
    for (auto at = text.find(keyword); at != std::string_view::npos; at = text.find(keyword, at + 1))
      if (at == 0 || is_blank(text[at - 1])) return true;
  return masked_text(text) != text;
}

// "sqlite" of sqlite:x and sqlite:///x, "mysql" of mysql://x; empty for a path, which may hold a ':' too.
std::string_view scheme_of(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return {};
  const std::string_view scheme = text.substr(0, colon);
  for (const char c : scheme)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '+' && c != '.' && c != '-') return {};
  const bool ours = scheme.starts_with("sqlite") || scheme.starts_with("postgres") || scheme == "file";
  const std::string_view rest = text.substr(colon + 1);
  return ours || rest.empty() || rest.starts_with('/') ? scheme : std::string_view{};
}

bool is_local(const std::string& host) {
  return host.empty() || host.starts_with('/') || host.starts_with('@') || host == "localhost" ||
         host == "::1" || host.starts_with("127.");
}

std::string conninfo_value(std::string_view value) {
  std::string quoted = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

bool is_secret(const std::string& keyword) {
  return keyword == "sslpassword";
}

std::string masked_postgres(const Endpoint& end) {
  std::string text = "postgresql://" + percent_encoded(end.user);
  if (!end.password.empty()) text += ":***";
  if (!end.user.empty() || !end.password.empty()) text += "@";
  const bool in_path = end.host.find(',') == std::string::npos && !end.host.starts_with('/');
  if (in_path) text += end.host.find(':') == std::string::npos ? end.host : "[" + end.host + "]";
  if (in_path && !end.port.empty()) text += ":" + end.port;
  text += "/" + percent_encoded(end.dbname);
  char mark = '?';
  const auto add = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) text += std::exchange(mark, '&') + name + "=" + value;
  };
  if (!in_path) add("host", percent_encoded(end.host));
  if (!in_path) add("port", end.port);
  for (const auto& [name, value] : end.parameters)
    add(name, is_secret(name) ? "***" : percent_encoded(value));
  return text;
}

// Between the ':' after a URL's user and the last '@' of the same word; in doubt it masks too much.
std::string without_url_passwords(std::string_view text) {
  std::string masked(text);
  for (auto at = masked.find("://"); at != std::string::npos; at = masked.find("://", at + 3)) {
    const auto end = std::find_if(masked.begin() + static_cast<std::ptrdiff_t>(at), masked.end(), is_blank);
    const auto last = static_cast<std::size_t>(end - masked.begin());
    auto sign = masked.rfind('@', last == 0 ? 0 : last - 1);
    if (sign == std::string::npos || sign < at) sign = masked.find('@', last);  // a blank in the password
    const auto colon = masked.find(':', at + 3);
    if (sign == std::string::npos || colon > sign) continue;
    masked.replace(colon + 1, sign - colon - 1, "***");
  }
  return masked;
}

// The value after password=, sslpassword= and the like: '…' or up to a blank or &.
std::string without_keyword_passwords(std::string_view text) {
  constexpr std::string_view word = "password";
  const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
  std::string masked;
  for (auto found = text.begin(); found != text.end();) {
    found = std::search(text.begin(), text.end(), word.begin(), word.end(), same);
    auto value = found == text.end() ? found : std::find_if_not(found + word.size(), text.end(), is_blank);
    const bool named = value != text.end() && *value == '=';
    if (named) value = std::find_if_not(value + 1, text.end(), is_blank);
    masked.append(text.begin(), value);
    text = std::string_view(value, text.end());
    if (!named) continue;
    masked += "***";
    text.remove_prefix(text.starts_with('\'') ? std::min(text.find('\'', 1), text.size() - 1) + 1
                                              : std::min(text.find_first_of(" \t\n\r&"), text.size()));
    found = text.begin();
  }
  return masked;
}

}  // namespace

Endpoint parse_endpoint(std::string_view text) {
  if (std::all_of(text.begin(), text.end(), is_blank)) refuse("the source or target is empty");
  const std::string_view scheme = scheme_of(text);
  if (scheme.empty()) {
    if (!looks_like_conninfo(text)) return sqlite_at(text);
    refuse("keyword=value connection strings are not taken here",
           "write postgresql://user@host:port/dbname, or host, port, user, password and dbname keys in "
           "tidegate.toml");
  }
  if (scheme == "file") refuse("file: URIs are not supported", "give the plain path of the file");
  const std::string_view rest = text.substr(scheme.size() + 1);
  const std::string_view kind = scheme.substr(0, scheme.find('+'));
  if (kind == "sqlite" || kind == "sqlite3") return parse_sqlite(rest);
  if ((kind == "postgresql" || kind == "postgres") && rest.starts_with("//"))
    return parse_postgres(rest.substr(2));
  refuse(fmt::format("{}: is not a database that tidegate knows", scheme),
         "give a path to a SQLite file, sqlite:////abs/path, or postgresql://user@host:port/dbname");
}

bool holds_password(std::string_view text) {
  try {
    const Endpoint end = parse_endpoint(text);
    const auto& list = end.parameters;
    return !end.password.empty() ||
           std::any_of(list.begin(), list.end(), [](const auto& p) { return is_secret(p.first); });
  } catch (const Usage&) {
    return masked_text(text) != text;
  }
}

void refuse_password(std::string_view flag, std::string_view text, std::string_view variable) {
  if (!holds_password(text)) return;
  throw Coded<Usage>(
      "password-on-command-line",
      fmt::format("the URL of {} holds a password, and every user of this machine can read a command line",
                  flag),
      fmt::format(
          "put the URL into the environment variable {}, an --env-file or tidegate.toml, or leave the "
          "password out and keep it in a PGPASSFILE",
          variable));
}

void refuse_transaction_pooler(const Endpoint& end) {
  if (end.kind != Endpoint::Kind::postgres ||
      ("," + end.port + ",").find(fmt::format(",{},", transaction_pooler_port)) == std::string::npos)
    return;
  throw Coded<Refused>("transaction-pooler",
                       fmt::format("port {} is a pooler in transaction mode, which breaks session state",
                                   transaction_pooler_port),
                       "use the direct connection or the pooler's session mode, both on port 5432");
}

std::string masked(const Endpoint& end) {
  switch (end.kind) {
    case Endpoint::Kind::sqlite:
      return end.path;
    case Endpoint::Kind::postgres:
      return masked_postgres(end);
    case Endpoint::Kind::none:
      break;
  }
  return "";
}

std::string masked_text(std::string_view text) {
  return without_keyword_passwords(without_url_passwords(text));
}

std::string conninfo(const Endpoint& end, const std::string& ca_file) {
  std::string text;
  const auto add = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) text += fmt::format("{}{}={}", text.empty() ? "" : " ", name, conninfo_value(value));
  };
  const auto given = [&](std::string_view name) {
    return std::any_of(end.parameters.begin(), end.parameters.end(),
                       [&](const auto& p) { return p.first == name; });
  };
  add("host", end.host);
  add("port", end.port);
  add("user", end.user);
  add("password", end.password);
  add("dbname", end.dbname);
  for (const auto& [name, value] : end.parameters) add(name, value);
  if (!given("sslrootcert")) add("sslrootcert", ca_file);
  if (!given("sslmode")) add("sslmode", ca_file.empty() && is_local(end.host) ? "" : "verify-full");
  return text;
}

std::string default_pipeline_name(const Endpoint& source) {
  const std::string raw = source.kind == Endpoint::Kind::sqlite
                              ? std::filesystem::path(source.path).stem().string()
                              : source.dbname;
  std::string name;
  for (const char c : raw) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte < 128 && (std::isalnum(byte) || c == '_');
    if (plain)
      name += static_cast<char>(std::tolower(byte));
    else if (!name.empty() && name.back() != '-')
      name += '-';
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  if (name.size() > 63) name.resize(63);
  return name.empty() ? "pipeline" : name;
}

}  // namespace tidegate
