#include "server/session/binary_wire.h"

#include <utility>

#include "protocol/binary/binary_parser.h"
#include "protocol/binary/binary_request.h"
#include "protocol/binary/opcodes.h"
#include "server/command/binary_executor.h"
#include "server/session/serve_batch.h"
#include "slab/check.h"

namespace larder::server {
namespace {

using protocol::ParseStatus;

// The description of the packets for ServeBatchOf(): see there. No key is encoded, and each packet
// is one request.
struct Packets {
  using Request = protocol::BinaryRequest;

  static auto& In(Batch& batch) { return batch.packets; }
  static protocol::ParseResult Parse(std::string_view input, protocol::KeyList&,
                                     Request& request) noexcept {
    return protocol::ParseBinary(input, request);
  }
  static void DecodeKey(Request&, char*) {}
  static bool EndsRequest(const Request&) { return true; }
  static std::string_view NameOf(const Request& request) {
    return protocol::FindOpcode(request.echo().opcode).name;
  }
};

// Answers a request that is to authenticate its client, or any request of an unauthenticated
// client.
LoginResult Answer(Workspace& workspace, const protocol::BinaryRequest& request,
                   std::unique_ptr<SaslSession>& sasl) {
  return {.status = LoginResult::Status::kAnswered,
          .outcome = workspace.binary_executor->LogIn(request, sasl),
          .swallow_bytes = request.swallow_bytes};
}

}  // namespace

BatchResult BinaryWire::ServeBatch(std::string_view& input, protocol::KeyList& keys,
                                   const BatchLimits& limits) {
  return ServeBatchOf<Packets>(workspace_, *workspace_.binary_executor, input, keys, limits);
}

std::size_t BinaryWire::value_end_bytes() const { return 0; }

UploadBegin BinaryWire::BeginUpload(std::size_t at) {
  return BeginUploadOf<Packets>(workspace_, *workspace_.binary_executor, at, value_end_bytes());
}

bool BinaryWire::ReserveUpload(Upload& upload, UploadMemory::Share share) {
  return workspace_.binary_executor->ReserveUpload(upload, std::move(share));
}

void BinaryWire::FinishUpload(Upload& upload, std::string_view end) {
  LARDER_ASSERT(end.size() == value_end_bytes());
  LARDER_ASSERT(upload.left_bytes() == 0);
  workspace_.binary_executor->FinishUpload(upload);
}

std::unique_ptr<ReplyStream> BinaryWire::BeginStream(std::size_t at) {
  LARDER_ASSERT(at < workspace_.batch.count);
  // The reporter wakes the stream from another thread, which WakeStreams() allows.
  return workspace_.binary_executor->BeginStream(workspace_.batch.packets[at],
                                                 [&host = workspace_.host] { host.WakeStreams(); });
}

LoginResult BinaryWire::ServeLogin(std::string_view& input, std::unique_ptr<SaslSession>& sasl,
                                   int client_number) {
  protocol::BinaryRequest request;
  const protocol::ParseResult parsed = protocol::ParseBinary(input, request);
  // Nothing is consumed before the packet is complete.
  if (parsed.status == ParseStatus::kNeedMore) return {};
  input.remove_prefix(parsed.consumed_bytes);
  LogUnauthenticated(workspace_, client_number);
  if (parsed.status == ParseStatus::kFatal) return {.status = LoginResult::Status::kFatal};
  return Answer(workspace_, request, sasl);
}

LoginResult BinaryWire::LogIn(std::size_t at, std::unique_ptr<SaslSession>& sasl) {
  LARDER_ASSERT(at < workspace_.batch.count);
  return Answer(workspace_, workspace_.batch.packets[at], sasl);
}

}  // namespace larder::server
