// The shapes that every parser produces and server/command/ consumes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace larder::protocol {

inline constexpr std::size_t kKeyBytesMax = 250;

// The first byte of every packet of the binary protocol; no line of text begins so.
inline constexpr unsigned char kRequestMagic = 0x80;

// The longest value of `config set`: it is waited for, while others are received into an item.
inline constexpr std::uint32_t kConfigValueBytesMax = 32 * 1024;

// What a request asks for. The meaning of each lives in server/command/.
enum class Verb : std::uint8_t {
  kGet,
  kGets,
  kGat,
  kGats,
  kSet,
  kAdd,
  kReplace,
  kAppend,
  kPrepend,
  kCas,
  kDelete,
  kTouch,
  kIncr,
  kDecr,
  kFlushAll,
  kVersion,
  kVerbosity,
  kQuit,
  kShutdown,
  kCacheMemlimit,
  kStats,
  kLru,
  kLruCrawler,
  kSlabs,
  kMn,
  kMg,
  kMs,
  kMd,
  kMa,
  kMe,
  kExplain,
  kConfig,
  kError,  // Nothing to run: the line was bad, `error` is the answer.
  // Of the binary protocol only.
  kGetK,  // get and gat that answer with the key.
  kGatK,
  kNoop,
  kSaslList,
  kSaslAuth,
  kSaslStep,
  kLast = kSaslStep,
};

// Why a line or a packet could not become a request. The texts are in protocol/text/text_reply.h
// and protocol/binary/binary_reply.h.
enum class RequestError : std::uint8_t {
  kNone,
  kUnknownCommand,  // ERROR
  kBadLine,         // CLIENT_ERROR bad command line format
  kBadExptime,      // CLIENT_ERROR invalid exptime argument
  kBadDelta,        // CLIENT_ERROR invalid numeric delta argument
  kBadDataChunk,    // CLIENT_ERROR bad data chunk
  // The flags of meta commands.
  kDuplicateFlag,
  kInvalidFlag,
  kBadMetaToken,
  kBadMetaInitial,
  kBadMetaDelta,
  kBadBase64,
  kTooManyFlags,
  kOpaqueTooLong,
  kBadSetMode,
  kBadArithmeticMode,
  kBadArithmeticFlag,
  // Packets after which the connection closes:
  kBadBodyLength,  // Unknown command: key and extras exceed the body.
  kBadArguments,   // Invalid arguments
};

// One unit of work: a command, or one key of a retrieval command. All views point into the
// parser's input and live until those bytes are dropped.
struct Request {
  std::string_view key = {};    // Empty for verbs without a key.
  std::string_view value = {};  // Storage: the whole data block without its CRLF, if it was there.
  // Admin verbs: what follows the command word on its line. Meta verbs: the flags, all of them
  // good. Binary: header and extras, see protocol/binary/binary_packet.h.
  std::string_view arguments = {};
  // incr/decr: delta. cas: unique. verbosity, cache_memlimit: n. Meta verbs: a MetaFlagSet.
  // Binary, but for incr/decr: CAS.
  std::uint64_t number = 0;
  std::uint32_t client_flags = 0;   // Storage.
  std::int32_t exptime = 0;         // As sent: 0 never, 1..30 days relative, more is Unix time.
                                    // Binary: the bits of an unsigned number.
  std::uint32_t value_bytes = 0;    // Storage: length of the data block without its CRLF.
  std::uint32_t swallow_bytes = 0;  // Bytes after consumed_bytes to read and throw away.
  Verb verb = Verb::kError;
  RequestError error = RequestError::kNone;
  bool noreply = false;     // Binary: the opcode is a quiet one.
  bool is_last_key = true;  // Retrieval: the reply to this line ends with this key.
};

// Where a parser stands between two keys of one retrieval line; small, copied freely. Value
// initialised, it stands at the start of a line.
struct KeyList {
  Verb verb = Verb::kGet;    // Meaningful while is_open.
  bool is_open = false;      // The next byte belongs to the key list of `verb`.
  bool is_skipping = false;  // The rest of the line up to '\n' is dropped, silently.
  std::int32_t exptime = 0;  // gat and gats.
};

enum class ParseStatus : std::uint8_t {
  kComplete,    // `request` is valid; serve it, then drop consumed_bytes.
  kEncodedKey,  // The same once its key, which is base64, was decoded (see base64.h).
  kNeedMore,    // No complete unit: call again with more. consumed_bytes (skipped text) may be > 0.
  kNeedValue,   // `request` is valid but for its value (and its key, see HasEncodedKey): after
                // consumed_bytes (the line) come value_bytes + 2 bytes, not all of them in the
                // input yet, or not ended by CRLF. Binary: value_bytes.
  kLineTooLong,  // Waits for the end of a line for too long: as kFatal, but the client is told.
  kFatal,        // The connection must close, after the replies to earlier requests.
};

struct [[nodiscard]] ParseResult {
  ParseStatus status = ParseStatus::kNeedMore;
  std::size_t consumed_bytes = 0;
};

}  // namespace larder::protocol
