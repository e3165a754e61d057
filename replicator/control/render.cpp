#include "replicator/control/render.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <iomanip>
#include <map>
#include <sstream>
#include <utility>

#include "replicator/config/units.hpp"

namespace tidegate {

namespace {

constexpr int label_width = 12;
constexpr int least_width = 40;  // narrower terminals wrap
constexpr double shortest_sample = 0.1;
constexpr std::size_t errors_shown = 3;
constexpr std::size_t users_shown = 5;
constexpr double long_transaction = 60;         // seconds
constexpr double worth_a_warning = 7 * 86'400;  // seconds until the disk is full

std::string counted(std::uint64_t count, const char* what) {
  return format_count(count) + " " + what + (count == 1 ? "" : "s");
}

enum class Ink { plain, bold, dim, green, yellow, red, cyan };

// A source's names are its own: a control byte in one must not reach the terminal.
std::string clean(std::string_view text) {
  std::string safe(text);
  for (char& c : safe)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return safe;
}

// How many bytes the first `columns` characters take.
std::size_t bytes_of(std::string_view text, int columns) {
  std::size_t end = 0;
  for (int seen = 0; end < text.size(); ++end) {
    const bool starts = (static_cast<unsigned char>(text[end]) & 0xC0) != 0x80;
    if (starts && seen++ == columns) break;
  }
  return end;
}

// The first `columns` characters, the last of them an ellipsis where something was cut.
std::string shortened(const std::string& text, int columns, bool unicode) {
  if (columns_of(text) <= columns) return text;
  return text.substr(0, bytes_of(text, columns - 1)) + (unicode ? "…" : "~");
}

// Whole, in lines of at most `columns`, broken between words; a word that is longer is broken too.
std::vector<std::string> wrapped(const std::string& text, int columns) {
  std::vector<std::string> lines(1);
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const int used = columns_of(lines.back());
    if (used > 0 && used + 1 + columns_of(word) > columns) lines.emplace_back();
    while (columns_of(word) > columns) {
      const std::size_t taken = bytes_of(word, columns);
      lines.back() = word.substr(0, taken);
      word.erase(0, taken);
      lines.emplace_back();
    }
    lines.back() += (lines.back().empty() ? "" : " ") + word;
  }
  return lines;
}

std::string padded(const std::string& text, int columns) {
  return text + std::string(static_cast<std::size_t>(std::max(0, columns - columns_of(text))), ' ');
}

std::string rows_of(std::uint64_t copied, const std::optional<std::uint64_t>& total) {
  return total ? fmt::format("{} / {}", format_count(copied), format_count(*total)) : format_count(copied);
}

std::string per_second(double rate, std::string_view what) {
  return fmt::format("{} {}/s", format_count(static_cast<std::uint64_t>(std::llround(std::max(0.0, rate)))),
                     what);
}

std::string milliseconds_text(double milliseconds) {
  return milliseconds < 1000 ? fmt::format("{:.1f} ms", milliseconds)
                             : fmt::format("{:.2f} s", milliseconds / 1000);
}

std::string seconds_text(double seconds) {
  if (seconds < 10) return fmt::format("{:.2f} s", seconds);
  return format_duration(std::chrono::milliseconds(std::llround(seconds) * 1000));
}

std::optional<std::int64_t> unix_seconds(const std::optional<std::string>& iso) {
  if (!iso) return {};
  std::tm time{};
  std::istringstream stream(*iso);
  stream >> std::get_time(&time, "%Y-%m-%dT%H:%M:%S");
  if (stream.fail()) return {};
  return timegm(&time);
}

struct Share {  // of a whole; absent total: unknown
  std::uint64_t part = 0;
  std::optional<std::uint64_t> whole;
  double fraction() const {
    if (!whole) return 0;
    return *whole == 0 ? 1 : std::min(1.0, static_cast<double>(part) / static_cast<double>(*whole));
  }
};

class Picture {
 public:
  Picture(const Status& status, const Look& look, const std::optional<Rates>& rates)
      : s_(status), look_(look), rates_(rates), width_(std::max(look.width, least_width)) {}

  std::string draw() {
    head();
    stages();
    tables();
    totals();
    flow();
    passage();
    troubles();
    next_steps();
    return out_;
  }

 private:
  std::string ink(Ink ink, const std::string& text) const {
    constexpr std::array codes = {"", "1", "2", "32", "33", "31", "36"};
    if (!look_.colour || ink == Ink::plain || text.empty()) return text;
    return fmt::format("\x1b[{}m{}\x1b[0m", codes[static_cast<std::size_t>(ink)], text);
  }
  std::string sign(const char* unicode, const char* ascii) const { return look_.unicode ? unicode : ascii; }
  std::string dot() const { return sign(" · ", " | "); }

  void line(const std::string& text = {}) { out_ += text.empty() ? "\n" : text + "\n"; }
  // A label and a text that is cut at the terminal's edge. The text has one ink, so that it can be cut.
  void labelled(const std::string& label, const std::string& text, Ink colour = Ink::plain) {
    line("  " + ink(Ink::dim, padded(label, label_width)) +
         ink(colour, shortened(text, width_ - label_width - 3, look_.unicode)));
  }

  // The same for what must not be cut: a reason, a command.
  void labelled_whole(std::string label, const std::string& text, Ink colour = Ink::plain) {
    for (const std::string& part : wrapped(text, width_ - label_width - 3))
      labelled(std::exchange(label, ""), part, colour);
  }

  Ink phase_ink() const {
    if (s_.phase == "failed") return Ink::red;
    if (s_.phase == "paused") return Ink::yellow;
    return s_.phase == "streaming" ? Ink::green : Ink::cyan;
  }

  std::string elapsed() const {
    const auto begin = unix_seconds(s_.started_at);
    if (!begin) return "";
    const auto end = unix_seconds(s_.ended_at).value_or(s_.sampled_at_ms / 1000);
    return end < *begin ? "" : dot() + format_duration(std::chrono::seconds(end - *begin));
  }

  void head() {
    const std::string name = "tidegate  " + clean(s_.pipeline);
    const std::string time = elapsed();
    const int gap = std::max(2, width_ - 4 - columns_of(name) - columns_of(s_.phase) - columns_of(time));
    line("  " + ink(Ink::bold, name) + std::string(static_cast<std::size_t>(gap), ' ') +
         ink(phase_ink(), s_.phase) + ink(Ink::dim, time));
    const std::string ends = clean(s_.source) + sign(" → ", " -> ") + clean(s_.target);
    if (!s_.source.empty()) line("  " + ink(Ink::dim, shortened(ends, width_ - 3, look_.unicode)));
    if (!s_.step.empty()) line("  " + shortened(clean(s_.step), width_ - 3, look_.unicode));
    line();
  }

  std::string stage(const std::string& name, const std::string& state) const {
    if (state == "completed") return ink(Ink::green, sign("✓ ", "+ ") + name);
    if (state == "in_progress") return ink(Ink::cyan, sign("▸ ", "> ") + name);
    if (state == "failed") return ink(Ink::red, sign("✗ ", "x ") + name);
    return ink(Ink::dim, sign("· ", ". ") + name);
  }

  std::string verifying() const {
    if (!s_.verify || s_.verify->rows_expected == 0) return "";
    auto percent = std::min<std::uint64_t>(100, s_.verify->rows * 100 / s_.verify->rows_expected);
    std::string text = fmt::format(" {} %, {}/s", percent, format_count(s_.verify->rows_per_second));
    if (s_.verify->seconds_left) text += fmt::format(", {:.0f} s left", *s_.verify->seconds_left);
    return ink(Ink::dim, text);
  }

  void stages() {
    line("  " + stage("schema", s_.stages.schema) + "   " + stage("data", s_.stages.data) + "   " +
         stage("verification", s_.stages.verification) + verifying());
    line();
  }

  std::string bar(const Share& share, int cells, Ink colour) const {
    const auto full = static_cast<int>(share.fraction() * cells);
    std::string done, rest;
    for (int i = 0; i < full; ++i) done += sign("━", "#");
    for (int i = full; i < cells; ++i) rest += sign("─", "-");
    return ink(colour, done) + ink(Ink::dim, rest);
  }

  bool data_is_copied() const { return s_.stages.data == "completed"; }

  static int urgency(const TableStatus& t) {
    if (t.state == "failed" || t.state == "stopped") return 0;
    if (t.state == "copying" || t.state == "indexing" || t.state == "resync") return 1;
    if (t.rows_quarantined > 0) return 2;
    return t.state == "pending" ? 3 : 4;
  }

  // Places of the tables, those first that an operator looks for.
  std::vector<std::size_t> tables_in_order() const {
    std::vector<std::size_t> order(s_.tables.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return urgency(s_.tables[a]) < urgency(s_.tables[b]);
    });
    return order;
  }

  static Ink state_ink(const std::string& state) {
    if (state == "failed" || state == "stopped") return Ink::red;
    if (state == "pending") return Ink::dim;
    return state == "copying" || state == "indexing" || state == "resync" ? Ink::cyan : Ink::green;
  }

  std::string table_note(std::size_t place) const {
    const TableStatus& t = s_.tables[place];
    std::string note = t.state;
    if (t.state == "copying" && rates_ && place < rates_->table_rows_per_second.size())
      note = per_second(rates_->table_rows_per_second[place], "rows");
    if (t.rows_quarantined > 0) note += fmt::format(", {} quarantined", format_count(t.rows_quarantined));
    return note;
  }

  // Once a table is copied its count and the total, which was taken earlier, may differ.
  static Share share_of(const TableStatus& t) {
    const bool under_way =
        t.state == "pending" || t.state == "copying" || t.state == "resync" || t.state == "failed";
    return under_way ? Share{t.rows_copied, t.rows_total} : Share{1, 1};
  }

  struct Widths {  // of the tables' columns
    int name = 0, count = 0, note = 0, bar = 0;
  };

  // The source's, or where its rows go to several tables, the target's.
  std::string shown_name(const TableStatus& table) const {
    const auto count = std::count_if(s_.tables.begin(), s_.tables.end(),
                                     [&](const TableStatus& each) { return each.source == table.source; });
    return clean(count > 1 ? table.target : table.source);
  }

  Widths widths_of(const std::vector<std::size_t>& places) const {
    Widths w;
    for (const std::size_t place : places) {
      const TableStatus& t = s_.tables[place];
      w.name = std::max(w.name, columns_of(shown_name(t)));
      w.count = std::max(w.count, columns_of(rows_of(t.rows_copied, t.rows_total)));
      w.note = std::max(w.note, columns_of(table_note(place)));
    }
    w.name = std::min(w.name, std::max(12, width_ / 4));
    const int room = width_ - 9 - w.name - w.count - w.note;
    w.bar = data_is_copied() || room < 8 ? 0 : std::min(room, 40);
    return w;
  }

  void table(std::size_t place, const Widths& w) {
    const TableStatus& t = s_.tables[place];
    std::string text = "  " + padded(shortened(shown_name(t), w.name, look_.unicode), w.name) + "  ";
    if (w.bar > 0) text += bar(share_of(t), w.bar, state_ink(t.state)) + "  ";
    const std::string count = rows_of(t.rows_copied, t.rows_total);
    text += std::string(static_cast<std::size_t>(w.count - columns_of(count)), ' ') + count + "  ";
    const Ink colour = t.rows_quarantined > 0 && t.state != "failed" ? Ink::yellow : state_ink(t.state);
    line(text + ink(colour,
                    shortened(table_note(place), std::max(1, width_ - 1 - columns_of(text)), look_.unicode)));
  }

  // The tables that are not drawn, counted by state; first of those that an operator looks for.
  void rest_of_tables(const std::vector<std::size_t>& rest, bool all) {
    if (rest.empty()) return;
    std::map<std::string, int> states;
    for (const std::size_t place : rest) ++states[s_.tables[place].state];
    std::string text =
        all ? fmt::format("{} tables:", rest.size()) : fmt::format("and {} more:", rest.size());
    for (const auto& [state, count] : states) text += fmt::format(" {} {},", count, clean(state));
    text.pop_back();
    line("  " + ink(Ink::dim, shortened(text, width_ - 3, look_.unicode)));
  }

  // While data is copied every table, as far as there is room; later only those that need a look.
  void tables() {
    if (s_.tables.empty()) return;
    std::vector<std::size_t> drawn, rest;
    for (const std::size_t place : tables_in_order()) {
      const bool wanted = !data_is_copied() || urgency(s_.tables[place]) < 3;
      (wanted && static_cast<int>(drawn.size()) < std::max(1, look_.table_lines) ? drawn : rest)
          .push_back(place);
    }
    const Widths widths = widths_of(drawn);
    for (const std::size_t place : drawn) table(place, widths);
    rest_of_tables(rest, drawn.empty());
    line();
  }

  void totals() {
    const Share share{s_.totals.rows_copied, s_.totals.rows_total};
    const bool copying = s_.stages.data == "in_progress" && s_.totals.rows_total;
    std::string text = rows_of(s_.totals.rows_copied, s_.totals.rows_total) + " rows";
    if (!copying) return labelled("copied", text);
    text = fmt::format("{:3.0f} %  {}", std::floor(share.fraction() * 100), text);
    if (rates_) text += dot() + per_second(rates_->rows_per_second, "rows");
    if (rates_ && rates_->seconds_left)
      text += dot() + format_duration(std::chrono::milliseconds(std::llround(*rates_->seconds_left) * 1000)) +
              " left";
    const int cells = std::min(30, width_ - label_width - 5 - columns_of(text));
    if (cells < 8) return labelled("copied", text);
    line("  " + ink(Ink::dim, padded("copied", label_width)) + bar(share, cells, Ink::cyan) + " " + text);
  }

  std::string lag_text() const {
    if (!lag_is_known()) return "not known yet";
    std::vector<std::string> parts;
    if (s_.lag.seconds) parts.push_back(seconds_text(*s_.lag.seconds));
    if (s_.lag.transactions) parts.push_back(counted(*s_.lag.transactions, "transaction"));
    if (s_.lag.bytes) parts.push_back(format_size(*s_.lag.bytes));
    std::string text;
    for (const auto& part : parts) text += (text.empty() ? "" : dot()) + part;
    return text;
  }

  std::string journal_text() const {
    std::string text = format_size(s_.journal.bytes);
    const double growth = s_.journal.bytes_per_second.value_or(0);
    const double seconds_left =
        s_.journal.free_bytes ? static_cast<double>(*s_.journal.free_bytes) / growth : 0;
    if (growth < 1 || (s_.phase != "paused" && seconds_left > worth_a_warning)) return text;
    text += fmt::format(", grows {}/s", format_size(static_cast<std::uint64_t>(growth)));
    if (s_.journal.free_bytes)
      text += ", disk full in " +
              format_duration(std::chrono::seconds(static_cast<std::int64_t>(std::min(seconds_left, 1e9))));
    return text;
  }

  // What is wrong comes first, since a narrow terminal cuts the end.
  std::string slot_text(const SlotStatus& slot) const {
    std::string text = slot.wal_status == "reserved" ? "" : slot.wal_status + dot();
    text += "keeps " + format_size(slot.lag_bytes);
    if (slot.oldest_transaction_seconds && *slot.oldest_transaction_seconds > long_transaction)
      text += dot() + "held by a transaction of " + seconds_text(*slot.oldest_transaction_seconds);
    if (slot.left_bytes) text += dot() + format_size(*slot.left_bytes) + " left";
    if (slot.left_seconds && *slot.left_seconds < worth_a_warning)
      text += ", " + seconds_text(*slot.left_seconds) + " at this rate";
    return text;
  }

  static Ink slot_ink(const SlotStatus& slot) {
    if (slot.wal_status == "lost" || slot.wal_status == "gone") return Ink::red;
    return slot.left_bytes && *slot.left_bytes < slot.lag_bytes ? Ink::yellow : Ink::plain;
  }

  bool lag_is_known() const { return s_.lag.seconds || s_.lag.bytes || s_.lag.transactions; }

  void flow() {
    const bool begun = data_is_copied() || s_.totals.transactions > 0 || lag_is_known();
    if (begun) stream();
    labelled("journal", journal_text(), s_.phase == "paused" ? Ink::yellow : Ink::plain);
    if (s_.slot) labelled("slot", slot_text(*s_.slot), slot_ink(*s_.slot));
    if (s_.throttle_rows_per_second)
      labelled("throttle", format_count(*s_.throttle_rows_per_second) + " rows/s", Ink::yellow);
    if (s_.phase == "reversed") way_back();
  }

  // What a rollback would lose comes first.
  void way_back() {
    const auto& back = s_.rollback;
    const bool runs = back.lag_seconds && (back.ready || back.rejects > 0);
    std::string text =
        !runs ? "not running: no rollback now" : "a rollback could lose " + seconds_text(*back.lag_seconds);
    if (!back.rebuilding.empty()) text = "being built anew: " + back.rebuilding;
    if (runs && back.lag_transactions && *back.lag_transactions > 0)
      text += dot() + counted(*back.lag_transactions, "transaction");
    if (back.rejects > 0) text += dot() + format_rows(back.rejects) + " rejected";
    labelled("way back", text, back.ready ? Ink::green : Ink::red);
  }

  // A cutover, rehearsal or rollback, the last one too: how it stands, then each step with its time.
  void passage() {
    if (s_.cutover || s_.live == "target")
      labelled("live", s_.live == "target" ? "the target; the old database is fenced" : "the source");
    if (!s_.cutover) return;
    const CutoverStatus& run = *s_.cutover;
    const bool ended = !run.outcome.empty();
    std::string text = ended ? run.outcome : "under way: " + run.step;
    if (run.attempt > 1) text += fmt::format(", attempt {}", run.attempt);
    if (run.hold_ms) text += dot() + fmt::format("writers waited {:.1f} ms", *run.hold_ms);
    if (!run.reason.empty()) text += dot() + clean(run.reason);
    const bool good = run.outcome == "done" || run.outcome == "rehearsed";
    labelled_whole(run.mode, text, !ended ? Ink::cyan : good ? Ink::green : Ink::yellow);
    std::string steps;
    for (const CutoverStep& step : run.steps)
      steps += (steps.empty() ? "" : ", ") + step.step + " " + milliseconds_text(step.milliseconds);
    if (!steps.empty()) labelled_whole("steps", steps + (ended ? "" : " ..."));
    left_behind(run);
  }

  // Who has not moved to the side that is live.
  void left_behind(const CutoverStatus& run) {
    if (run.refused_writes)
      labelled("refused",
               counted(*run.refused_writes, "write") +
                   (s_.live == "target" ? " at the old database's fence" : " at the target's fence"),
               *run.refused_writes > 0 ? Ink::yellow : Ink::plain);
    if (s_.live != "target") return;
    std::string names;
    for (std::size_t i = 0; i < std::min(run.source_open_by.size(), users_shown); ++i)
      names += (i ? ", " : "") + clean(run.source_open_by[i]);
    if (run.source_open_by.size() > users_shown)
      names += fmt::format(", and {} more", run.source_open_by.size() - users_shown);
    if (!names.empty()) labelled_whole("not moved", names, Ink::yellow);
  }

  void stream() {
    std::string applied =
        counted(s_.totals.transactions, "transaction") + dot() + counted(s_.totals.changes, "change");
    if (rates_ && rates_->changes_per_second > 0)
      applied += dot() + per_second(rates_->changes_per_second, "changes");
    labelled("streamed", applied);
    labelled("lag", lag_text(), s_.lag.seconds && *s_.lag.seconds > 10 ? Ink::yellow : Ink::plain);
  }

  void troubles() {
    if (s_.quarantined > 0) labelled("quarantine", format_rows(s_.quarantined), Ink::yellow);
    const std::size_t from = s_.errors.size() > errors_shown ? s_.errors.size() - errors_shown : 0;
    for (std::size_t i = from; i < s_.errors.size(); ++i) {
      const StatusError& e = s_.errors[i];
      const std::string code = e.code.empty() ? "" : " [" + e.code + "]";
      labelled_whole(i == from ? "errors" : "", clean(e.message + code), Ink::red);
    }
  }

  void next_steps() {
    if (s_.next_steps.empty()) return;
    line();
    for (std::size_t i = 0; i < s_.next_steps.size(); ++i)
      labelled_whole(i == 0 ? "next" : "", clean(s_.next_steps[i]));
  }

  const Status& s_;
  const Look& look_;
  const std::optional<Rates>& rates_;
  const int width_;
  std::string out_;
};

double rate(std::uint64_t before, std::uint64_t now, double seconds) {
  return now <= before ? 0 : static_cast<double>(now - before) / seconds;
}

}  // namespace

int columns_of(const std::string& text) {
  int columns = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      i = std::min(text.find('m', i), text.size());
      continue;
    }
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) ++columns;
  }
  return columns;
}

std::optional<Rates> rates_between(const Status& before, const Status& now) {
  const double seconds = static_cast<double>(now.sampled_at_ms - before.sampled_at_ms) / 1000.0;
  if (before.pid != now.pid || seconds < shortest_sample) return {};
  Rates rates;
  rates.rows_per_second = rate(before.totals.rows_copied, now.totals.rows_copied, seconds);
  rates.changes_per_second = rate(before.totals.changes, now.totals.changes, seconds);
  std::map<std::string, std::uint64_t> copied;
  for (const auto& table : before.tables) copied[table.source] = table.rows_copied;
  for (const auto& table : now.tables) {
    const auto found = copied.find(table.source);
    rates.table_rows_per_second.push_back(
        found == copied.end() ? 0 : rate(found->second, table.rows_copied, seconds));
  }
  const auto total = now.totals.rows_total;
  if (now.stages.data == "in_progress" && total && *total > now.totals.rows_copied &&
      rates.rows_per_second > 0)
    rates.seconds_left = static_cast<double>(*total - now.totals.rows_copied) / rates.rows_per_second;
  return rates;
}

std::string render(const Status& status, const Look& look, const std::optional<Rates>& rates) {
  return Picture(status, look, rates).draw();
}

std::string render_line(const Status& s, const std::optional<Rates>& rates) {
  std::string text = fmt::format("phase={} rows={}", s.phase, s.totals.rows_copied);
  if (s.totals.rows_total) text += fmt::format("/{}", *s.totals.rows_total);
  if (rates)
    text += fmt::format(" rows_per_s={:.0f} changes_per_s={:.0f}", rates->rows_per_second,
                        rates->changes_per_second);
  if (rates && rates->seconds_left) text += fmt::format(" left_s={:.0f}", *rates->seconds_left);
  text += fmt::format(" transactions={} changes={}", s.totals.transactions, s.totals.changes);
  if (s.lag.seconds) text += fmt::format(" lag_s={:.3f}", *s.lag.seconds);
  text += fmt::format(" quarantined={} errors={}", s.quarantined, s.errors.size());
  const bool under_way = s.cutover && s.cutover->outcome.empty() && !s.cutover->steps.empty();
  if (under_way) {
    const CutoverStep& step = s.cutover->steps.back();
    text += fmt::format(" {}={} step_ms={:.0f}", s.cutover->mode, step.step, step.milliseconds);
  }
  return text;
}

}  // namespace tidegate
