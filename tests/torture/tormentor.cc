#include "tests/torture/tormentor.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

namespace larder::torture {
namespace {

constexpr std::size_t kKeyBytes = 20;
constexpr std::uint32_t kRequestsPerBatchMax = 24;
constexpr std::size_t kBatchBytesMax = 3 << 20;
constexpr std::uint32_t kKeysPerGetMax = 20;
constexpr std::size_t kTooLargeBytes = 1'200'000;
constexpr std::uint32_t kAppendsMax = 200;
constexpr std::size_t kAppendBytes = 12;  // A block of the log: its number, in digits.

std::uint64_t NumberIn(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw Fault{fmt::format("no number: '{}'", text)};
  }
  return number;
}

// The word of a line that is separated by single blanks; empty if there are not so many.
std::string_view Word(std::string_view line, std::size_t index) {
  for (; index > 0; --index) {
    const std::size_t blank = line.find(' ');
    if (blank == std::string_view::npos) return {};
    line.remove_prefix(blank + 1);
  }
  return line.substr(0, line.find(' '));
}

}  // namespace

Tormentor::Tormentor(const Shared& shared, std::uint32_t number, std::uint64_t seed)
    : shared_(shared), number_(number), keys_(kKeyBytes), random_(seed), ledger_(shared.flushes) {}

void Tormentor::Run(std::chrono::steady_clock::time_point deadline) {
  try {
    while (std::chrono::steady_clock::now() < deadline) {
      if (!socket_) socket_.emplace(shared_.address);
      const std::uint32_t choice = random_.Below(100);
      if (choice == 0) {
        Vanish();
      } else if (choice < 5) {
        CompareAndSet();
      } else {
        Batch();
      }
    }
  } catch (const Fault& fault) {
    Complain(fault.what);
  }
}

void Tormentor::Complain(std::string what) {
  if (tally_.faults++ == 0) tally_.first_fault = fmt::format("client {}: {}", number_, what);
}

std::string Tormentor::KeyText(std::uint64_t key) const {
  std::string text(keys_.key_bytes(), '\0');
  keys_.Write(key, text.data());
  return text;
}

// As many of 10 to 100 as of 100 to 1000, and so on.
std::size_t Tormentor::RandomBytes() {
  return static_cast<std::size_t>(std::pow(static_cast<double>(kValueBytesMax), random_.Unit()));
}

std::string Tormentor::RandomExptime() {
  const std::uint32_t choice = random_.Below(10);
  return choice == 0 ? "1" : choice == 1 ? "3" : "0";
}

std::string Tormentor::MakeValue(std::uint64_t key, std::uint8_t version, std::size_t bytes) const {
  std::string value(bytes, '\0');
  shared_.values.Write(key, version, value.data(), bytes);
  return value;
}

void Tormentor::Ask(std::string_view line, Reader reader) {
  requests_ += line;
  readers_.push_back(std::move(reader));
  ++tally_.requests;
}

void Tormentor::Batch() {
  requests_.clear();
  readers_.clear();
  const std::uint32_t requests = 1 + random_.Below(kRequestsPerBatchMax);
  for (std::uint32_t i = 0; i < requests && requests_.size() < kBatchBytesMax; ++i) QueueRequest();
  // In two pieces, cut anywhere.
  const std::size_t cut = random_.Below(static_cast<std::uint32_t>(requests_.size() + 1));
  socket_->Send(std::string_view(requests_).substr(0, cut));
  socket_->Send(std::string_view(requests_).substr(cut));
  for (const Reader& read : readers_) read();
}

void Tormentor::QueueRequest() {
  const std::uint32_t choice = random_.Below(100);
  if (choice < 35) return QueueGet();
  if (choice < 48) return QueueMetaGet();
  if (choice < 68) return QueueStore();
  if (choice < 78) return QueueMetaSet();
  if (choice < 80) return QueueTooLarge();
  if (choice < 86) return QueueDelete();
  if (choice < 90) return QueueTouch();
  if (choice < 95) return QueueCounter();
  QueueAppend();
}

// --- Reading -----------------------------------------------------------------------------------

void Tormentor::CheckValue(std::uint64_t key, std::string_view value, std::uint64_t flushes_done) {
  if (!shared_.values.Matches(key, value)) {
    return Complain(fmt::format("key {}: {} bytes that were never written", key, value.size()));
  }
  // What others write may change at any time.
  if (!IsMine(key)) return;
  if (const char* fault = ledger_.Fault(key, value, flushes_done); fault != nullptr) {
    Complain(fmt::format("key {}: {}", key, fault));
  }
}

bool Tormentor::ReadHit(std::uint64_t flushes_done) {
  const std::string line(socket_->ReadLine());
  if (line == "END") return false;
  const auto key = keys_.Read(Word(line, 1));
  if (Word(line, 0) != "VALUE" || !key) throw Fault{"not a hit: '" + line + "'"};
  const std::size_t bytes = NumberIn(Word(line, 3));
  const std::string_view block = socket_->ReadBlock(bytes + 2);
  if (!block.ends_with("\r\n")) throw Fault{"no line end behind a value"};
  ++tally_.hits;
  CheckValue(*key, block.substr(0, bytes), flushes_done);
  return true;
}

void Tormentor::QueueGet() {
  constexpr std::string_view kVerbs[] = {"get", "gets", "gat 0", "gats 0"};
  // gat of others' keys would keep what they want to expire.
  const bool touches = random_.Below(8) == 0;
  std::string line(kVerbs[(touches ? 2 : 0) + random_.Below(2)]);
  const std::uint32_t keys = 1 + random_.Below(kKeysPerGetMax);
  for (std::uint32_t i = 0; i < keys; ++i) {
    line += ' ' + KeyText(touches || random_.Below(2) == 0 ? OwnKey() : AnyKey());
  }
  line += "\r\n";
  const std::uint64_t flushes_done = shared_.flushes.done.load();
  Ask(line, [this, keys, flushes_done] {
    std::uint32_t hits = 0;
    while (ReadHit(flushes_done)) ++hits;
    if (hits > keys) Complain("more hits than keys");
    tally_.misses += keys - std::min(hits, keys);
  });
}

void Tormentor::QueueMetaGet() {
  const std::uint64_t key = random_.Below(2) == 0 ? OwnKey() : AnyKey();
  const std::uint64_t flushes_done = shared_.flushes.done.load();
  Ask(fmt::format("mg {} s v t f c O{}\r\n", KeyText(key), key), [this, key, flushes_done] {
    const std::string line(socket_->ReadLine());
    if (line == fmt::format("EN O{}", key)) {
      ++tally_.misses;
      return;
    }
    if (!line.ends_with(fmt::format(" O{}", key)) || Word(line, 0) != "VA") {
      throw Fault{"not a meta hit: '" + line + "'"};
    }
    const std::size_t bytes = NumberIn(Word(line, 1));
    if (Word(line, 2) != fmt::format("s{}", bytes)) Complain("two sizes: " + line);
    const std::string_view block = socket_->ReadBlock(bytes + 2);
    ++tally_.hits;
    CheckValue(key, block.substr(0, bytes), flushes_done);
  });
}

// --- Writing -----------------------------------------------------------------------------------

void Tormentor::ReadStored(std::uint64_t key, std::uint8_t version, std::size_t bytes,
                           OnRefusal leaves) {
  const std::string line(socket_->ReadLine());
  if (line == "STORED" || line.starts_with("HD")) {
    ++tally_.stores;
    ledger_.Wrote(key, version, bytes);
  } else if (line.starts_with("SERVER_ERROR")) {
    ++tally_.no_memory;
    if (leaves == OnRefusal::kNothing) ledger_.Removed(key);
  } else if (line != "NOT_STORED" && !line.starts_with("NS")) {
    throw Fault{"not an answer to a store: '" + line + "'"};
  }
}

void Tormentor::QueueStore() {
  constexpr std::string_view kVerbs[] = {"set", "set", "set", "add", "replace"};
  const std::string_view verb = kVerbs[random_.Below(5)];
  const std::uint64_t key = OwnKey();
  const std::size_t bytes = RandomBytes();
  const std::uint8_t version = ledger_.NextVersion(key);
  const OnRefusal leaves = verb == "set" ? OnRefusal::kNothing : OnRefusal::kOldValue;
  Ask(fmt::format("{} {} {} {} {}\r\n{}\r\n", verb, KeyText(key), random_.Below(3), RandomExptime(),
                  bytes, MakeValue(key, version, bytes)),
      [=, this] { ReadStored(key, version, bytes, leaves); });
}

void Tormentor::QueueMetaSet() {
  const std::uint64_t key = OwnKey();
  const std::size_t bytes = RandomBytes();
  const std::uint8_t version = ledger_.NextVersion(key);
  Ask(fmt::format("ms {} {} T{} F7 c\r\n{}\r\n", KeyText(key), bytes, RandomExptime(),
                  MakeValue(key, version, bytes)),
      [=, this] { ReadStored(key, version, bytes, OnRefusal::kNothing); });
}

void Tormentor::QueueTooLarge() {
  const std::uint64_t key = OwnKey();
  Ask(fmt::format("set {} 0 0 {}\r\n{}\r\n", KeyText(key), kTooLargeBytes,
                  std::string(kTooLargeBytes, 'x')),
      [this, key] {
        const std::string line(socket_->ReadLine());
        if (line != "SERVER_ERROR object too large for cache") {
          throw Fault{"a value too large got '" + line + "'"};
        }
        ++tally_.too_large;
        ledger_.Removed(key);
      });
}

void Tormentor::QueueDelete() {
  const std::uint64_t key = OwnKey();
  Ask(fmt::format("delete {}\r\n", KeyText(key)), [this, key] {
    const std::string line(socket_->ReadLine());
    if (line != "DELETED" && line != "NOT_FOUND") throw Fault{"delete got '" + line + "'"};
    ledger_.Removed(key);
  });
}

void Tormentor::QueueTouch() {
  Ask(fmt::format("touch {} {}\r\n", KeyText(OwnKey()), RandomExptime()), [this] {
    const std::string line(socket_->ReadLine());
    if (line != "TOUCHED" && line != "NOT_FOUND") throw Fault{"touch got '" + line + "'"};
  });
}

// A counter is what it was plus what was added, or gone.
void Tormentor::QueueCounter() {
  if (!has_counter_) {
    has_counter_ = true;
    counter_ = random_.Below(1000);
    return Ask(fmt::format("set n{} 0 0 {}\r\n{}\r\n", number_, fmt::formatted_size("{}", counter_),
                           counter_),
               [this] {
                 const std::string line(socket_->ReadLine());
                 if (line != "STORED") has_counter_ = false;
               });
  }
  const std::uint32_t delta = random_.Below(100);
  counter_ += delta;
  Ask(fmt::format("incr n{} {}\r\n", number_, delta), [this, wanted = counter_] {
    const std::string line(socket_->ReadLine());
    if (line == "NOT_FOUND" || line.starts_with("SERVER_ERROR")) {
      has_counter_ = false;
      return;
    }
    if (has_counter_ && NumberIn(line) != wanted) {
      Complain(fmt::format("a counter is {} and not {}", line, wanted));
    }
  });
}

// A log is a row of numbers in order, without a gap; or gone.
void Tormentor::QueueAppend() {
  if (appended_ == 0 || appended_ > kAppendsMax) {
    appended_ = 1;
    return Ask(fmt::format("set l{} 0 0 {}\r\n{:0{}}\r\n", number_, kAppendBytes, 0, kAppendBytes),
               [this] {
                 is_log_whole_ = socket_->ReadLine() == "STORED";
                 if (!is_log_whole_) appended_ = 0;
               });
  }
  if (random_.Below(3) != 0) {
    return Ask(
        fmt::format("append l{} 0 0 {}\r\n{:0{}}\r\n", number_, kAppendBytes, appended_++,
                    kAppendBytes),
        [this] {
          const std::string line(socket_->ReadLine());
          if (line != "STORED" && line != "NOT_STORED" && !line.starts_with("SERVER_ERROR")) {
            throw Fault{"append got '" + line + "'"};
          }
          if (line == "STORED") return;
          is_log_whole_ = false;
          appended_ = 0;
        });
  }
  Ask(fmt::format("get l{}\r\n", number_), [this] {
    const std::string line(socket_->ReadLine());
    if (line == "END") {
      is_log_whole_ = false;
      appended_ = 0;
      return;
    }
    const std::size_t bytes = NumberIn(Word(line, 3));
    const std::string block(socket_->ReadBlock(bytes + 2));
    for (std::size_t i = 0; is_log_whole_ && i * kAppendBytes < bytes; ++i) {
      if (NumberIn(std::string_view(block).substr(i * kAppendBytes, kAppendBytes)) != i) {
        Complain("a log with a gap");
        break;
      }
    }
    if (socket_->ReadLine() != "END") throw Fault{"a get without an end"};
  });
}

// A cas with the number just seen stores, unless the item went; with another it does not.
void Tormentor::CompareAndSet() {
  const std::uint64_t key = OwnKey();
  const std::uint64_t flushes_done = shared_.flushes.done.load();
  socket_->Send(fmt::format("gets {}\r\n", KeyText(key)));
  ++tally_.requests;
  const std::string head(socket_->ReadLine());
  if (head == "END") {
    ++tally_.misses;
    return;
  }
  const std::uint64_t cas = NumberIn(Word(head, 4));
  const std::size_t seen_bytes = NumberIn(Word(head, 3));
  ++tally_.hits;
  CheckValue(key, socket_->ReadBlock(seen_bytes + 2).substr(0, seen_bytes), flushes_done);
  if (socket_->ReadLine() != "END") throw Fault{"a gets without an end"};

  const bool is_right = random_.Below(2) == 0;
  const std::size_t bytes = RandomBytes();
  const std::uint8_t version = ledger_.NextVersion(key);
  socket_->Send(fmt::format("cas {} 0 0 {} {}\r\n{}\r\n", KeyText(key), bytes,
                            is_right ? cas : cas + 1, MakeValue(key, version, bytes)));
  ++tally_.requests;
  const std::string line(socket_->ReadLine());
  if (line == "STORED") {
    if (!is_right) Complain("a cas with the wrong number stored");
    ++tally_.stores;
    ledger_.Wrote(key, version, bytes);
  } else if (line == "EXISTS") {
    if (is_right) Complain("a cas with the right number did not store");
  } else if (line.starts_with("SERVER_ERROR")) {
    ++tally_.no_memory;  // A refused cas leaves the item.
  } else if (line != "NOT_FOUND") {
    throw Fault{"cas got '" + line + "'"};
  }
}

// Leaves in the middle of a value, or with replies unread.
void Tormentor::Vanish() {
  const std::uint64_t key = OwnKey();
  if (random_.Below(2) == 0) {
    const std::size_t bytes = RandomBytes() + 100;
    const std::string value = MakeValue(key, ledger_.NextVersion(key), bytes);
    socket_->Send(fmt::format("set {} 0 0 {}\r\n", KeyText(key), bytes));
    socket_->Send(std::string_view(value).substr(0, bytes / 2));
  } else {
    std::string line = "get";
    for (std::uint32_t i = 0; i < kKeysPerGetMax; ++i) line += ' ' + KeyText(AnyKey());
    socket_->Send(line + "\r\n");
  }
  ++tally_.vanished;
  socket_.reset();
}

}  // namespace larder::torture
