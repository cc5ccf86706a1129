// A session whose next bytes are a value.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "server/input/upload.h"
#include "server/session/wire.h"
#include "server/session/workspace.h"

namespace larder::server {

// Pieces of a value received at once, at most, and the input area behind them.
inline constexpr std::size_t kUploadPiecesMax = 16;
using InputPieces = std::array<iovec, kUploadPiecesMax + 1>;

// Uploading takes in a value that has not wholly come with its request, and has the request
// executed when it has. A value that needs memory of the cache ahead may have to wait for its share
// of UploadMemory: then nothing of it is taken in.
//
// Threads: one worker.
// Owns:    the upload, its share, its place among those that wait.
class Uploading {
 public:
  enum class Step : std::uint8_t {
    kNeedsMore,  // More input, or memory: see awaits_memory().
    kFinished,   // The request is answered.
    kRefused,    // The same, and rest_bytes() are to be thrown away.
  };

  Uploading(Workspace& workspace, Wire& wire, std::unique_ptr<Upload> upload)
      : workspace_(workspace), wire_(wire), upload_(std::move(upload)) {}
  ~Uploading();
  Uploading(const Uploading&) = delete;
  Uploading& operator=(const Uploading&) = delete;

  // Takes in what `input` has of it. REQUIRES: it does not wait for memory.
  Step Continue(std::string_view& input);
  std::uint64_t rest_bytes() const;

  // Where the value can be received straight into the cache: fills `pieces` and returns their
  // number, 0 if that is not possible now. What comes behind the value goes to `area`. `room_bytes`
  // becomes the room in the cache; as much of it as was filled is for Skip().
  std::size_t Room(InputPieces& pieces, iovec area, std::size_t& room_bytes);
  void Skip(std::size_t bytes) { upload_->Skip(bytes); }

  // It cannot go on before TakeMemory().
  bool awaits_memory() const { return wait_ != Wait::kNone; }
  // There are bytes that it would take in, and it is one of those that wait.
  bool is_queued() const { return wait_ == Wait::kQueued; }
  void Queue();
  // Takes the memory, after which it goes on. False if it has to wait on.
  bool TakeMemory();

  bool holds_memory() const { return upload_->is_reserved(); }
  // The value does not come, or too slowly while others wait for memory. To be asked at each check
  // of all uploads, as Upload::IsSlow. `since_s`: when anything came last.
  bool IsStalled(std::uint32_t now_s, std::uint32_t since_s);

 private:
  enum class Wait : std::uint8_t {
    kNone,
    kForBytes,  // And for memory: it is queued when more has come.
    kQueued,
  };

  bool TakeShare();
  // Has memory of the cache for the whole value. False, with the reply given, if there is none.
  bool Reserve();

  Workspace& workspace_;
  Wire& wire_;
  const std::unique_ptr<Upload> upload_;
  std::optional<UploadMemory::Share> share_;  // Taken for the upload, which will have it.
  Wait wait_ = Wait::kNone;
};

}  // namespace larder::server
