// The state of a session whose next bytes are a value.
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

// The most pieces of a value that are received with one system call. The input area may follow
// them.
inline constexpr std::size_t kUploadPiecesMax = 16;
using InputPieces = std::array<iovec, kUploadPiecesMax + 1>;

// Uploading receives a value that did not arrive completely with its request, and executes the
// request when it is complete. A value that outgrows the staging buffer needs some of UploadMemory
// before it is complete. It may have to wait for that; while it waits, no further byte is taken in.
//
// Threads:    one worker.
// Owns:       the upload, the share that was taken for it, and its place among the uploads that
//             wait.
// Invariants: it is in the list of UploadMemory exactly when is_queued().
class Uploading {
 public:
  // The result of Continue().
  enum class Step : std::uint8_t {
    // More input is needed, or memory: see awaits_memory().
    kNeedsMore,
    // The value is complete and the request was answered.
    kFinished,
    // The request was answered with an error; rest_bytes() are to be thrown away.
    kRefused,
  };

  // `upload` was begun by `wire`. The other two must outlive this object.
  Uploading(Workspace& workspace, Wire& wire, std::unique_ptr<Upload> upload)
      : workspace_(workspace), wire_(wire), upload_(std::move(upload)) {}
  // Leaves the list of waiting uploads. Memory and reserved item are given back with the upload.
  ~Uploading();
  Uploading(const Uploading&) = delete;
  Uploading& operator=(const Uploading&) = delete;

  // Takes the bytes of the value from the front of `input`, and what follows the value. REQUIRES:
  // not awaits_memory().
  Step Continue(std::string_view& input);
  // The bytes that the client has still to send: the rest of the value and what follows it.
  std::uint64_t rest_bytes() const;

  // Where the rest of the value can be received straight into the cache: fills `pieces` and returns
  // how many it filled; 0 if the item is not reserved or complete. If the pieces cover the whole
  // rest, the last of them is `area`, for the bytes that follow the value. `room_bytes` is set to
  // the number of bytes in the cache; of those that were filled, Skip() has to be informed.
  std::size_t Room(InputPieces& pieces, iovec area, std::size_t& room_bytes);
  void Skip(std::size_t bytes) { upload_->Skip(bytes); }

  // Whether it cannot continue before TakeMemory() succeeds.
  bool awaits_memory() const { return wait_ != Wait::kNone; }
  // Whether it is in the list of uploads that wait for memory. An upload that needs memory joins
  // the list only when further bytes have arrived: so a client that has stopped sending does not
  // hold up others.
  bool is_queued() const { return wait_ == Wait::kQueued; }
  // Enters the list. REQUIRES: not is_queued().
  void Queue();
  // Takes some of UploadMemory; afterwards Continue() may be called. Returns false if the
  // upload has to wait on.
  bool TakeMemory();

  // Whether it holds memory of the cache.
  bool holds_memory() const { return upload_->is_reserved(); }
  // Whether the client has stopped sending, or sends too slowly while other uploads wait for
  // memory. `since_s` is the time at which bytes arrived last. Each call counts as one check; see
  // Upload::IsSlow(). Always false while the upload is queued, because then the server is the one
  // that waits.
  bool IsStalled(std::uint32_t now_s, std::uint32_t since_s);

 private:
  // Why the upload does not continue.
  enum class Wait : std::uint8_t {
    kNone,
    // It needs memory, but joins the list only when more bytes have arrived.
    kForBytes,
    // It is in the list of UploadMemory.
    kQueued,
  };

  // Takes a share of UploadMemory or, if there is none, room for so many more bytes to be staged.
  // False if there is neither.
  bool TakeMemory(std::size_t bytes);
  // Takes the share of UploadMemory, unless it has one. False if there is none for it now.
  bool TakeShare();
  // Reserves memory of the cache for the whole value. If there is none, replies with the error and
  // returns false. REQUIRES: share_ is set; it is used up.
  bool Reserve();

  Workspace& workspace_;
  Wire& wire_;
  const std::unique_ptr<Upload> upload_;
  // A share that was taken and has not yet been passed on to the upload.
  std::optional<UploadMemory::Share> share_;
  Wait wait_ = Wait::kNone;
  // When it entered the list of UploadMemory last.
  std::uint32_t queued_at_s_ = 0;
  // While it waits: the bytes of the value that have come and find no room.
  std::size_t wanted_bytes_ = 0;
};

}  // namespace larder::server
