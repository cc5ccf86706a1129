#include "server/watch/watch_filter.h"

#include <algorithm>
#include <charconv>

#include "protocol/encoding/percent.h"

namespace larder::server {
namespace {

// The whole of `text` as a number that is at least `low`.
template <class Number>
std::optional<Number> ReadNumber(std::string_view text, Number low) {
  Number number = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec != std::errc() || read.ptr != end || number < low) return std::nullopt;
  return number;
}

// Takes the next word from the front of `words`; empty at the end.
std::string_view NextWord(std::string_view& words) {
  words.remove_prefix(std::min(words.find_first_not_of(' '), words.size()));
  const std::string_view word = words.substr(0, words.find(' '));
  words.remove_prefix(word.size());
  return word;
}

}  // namespace

std::optional<WatchFilter> WatchFilter::Parse(std::string_view words) {
  WatchFilter filter;
  bool has_stream = false;
  for (;;) {
    const std::string_view word = NextWord(words);
    if (word.empty()) break;
    const auto* const row = std::ranges::find(kWatchWords, word, &WatchWord::name);
    if (row != kWatchWords.end()) {
      filter.streams_ |= row->streams;
      has_stream = true;
    } else if (!filter.ReadCondition(word)) {
      return std::nullopt;
    }
  }
  if (!has_stream) filter.streams_ = SetOf(WatchStream::kFetchers);
  return filter;
}

bool WatchFilter::ReadCondition(std::string_view word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view name = word.substr(0, equals);
  const std::string_view value = word.substr(equals + 1);
  if (value.empty()) return false;
  if (name == "prefix" || name == "key") {
    auto decoded = protocol::DecodePercent(value);
    if (!decoded) return false;
    (name == "key" ? key_.emplace() : prefix_) = std::move(*decoded);
    return true;
  }
  if (name == "status") {
    status_ = value;
    return true;
  }
  if (name == "cfd") return (client_ = ReadNumber<int>(value, 0)).has_value();
  if (name != "sample" && name != "slow") return false;
  const auto number = ReadNumber<std::uint64_t>(value, name == "sample" ? 1 : 0);
  if (number) (name == "sample" ? sample_ : slow_us_) = *number;
  return number.has_value();
}

bool WatchFilter::Passes(const WatchEvent& event) {
  if ((streams_ & SetOf(event.stream)) == 0) return false;
  if (!event.has_key()) return !client_ || event.client < 0 || event.client == *client_;
  if (key_ && event.text != *key_) return false;
  if (!event.text.starts_with(prefix_)) return false;
  if (!status_.empty() && event.status != status_) return false;
  if (client_ && event.client != *client_) return false;
  if (event.kind == EventKind::kSlow && event.duration_us < slow_us_) return false;
  return passed_++ % sample_ == 0;
}

}  // namespace larder::server
