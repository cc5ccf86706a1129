#include "server/session/binary_wire.h"

#include <utility>

#include "protocol/binary_packet.h"
#include "protocol/binary_parser.h"
#include "protocol/opcodes.h"
#include "server/session/serve_batch.h"

namespace larder::server {
namespace {

using protocol::ParseStatus;
using protocol::Request;

struct Binary {
  static protocol::ParseResult Parse(std::string_view input, protocol::KeyList&,
                                     Request& request) noexcept {
    return protocol::ParseBinary(input, request);
  }
  static std::string_view NameOf(const Request& request) {
    return protocol::FindOpcode(protocol::RequestPacket(request.arguments).echo().opcode).name;
  }
};

}  // namespace

BatchResult BinaryWire::ServeBatch(std::string_view& input, protocol::KeyList& keys,
                                   const BatchLimits& limits) {
  return ServeBatchOf<Binary>(workspace_, workspace_.binary_executor, input, keys, limits);
}

std::size_t BinaryWire::value_end_bytes() const { return 0; }

std::unique_ptr<Upload> BinaryWire::BeginUpload(const Request& request, std::uint64_t hash) {
  return workspace_.binary_executor.BeginUpload(request, hash);
}

bool BinaryWire::ReserveUpload(Upload& upload, UploadMemory::Share share) {
  return workspace_.binary_executor.ReserveUpload(upload, std::move(share));
}

void BinaryWire::FinishUpload(Upload& upload, std::string_view) {
  workspace_.binary_executor.FinishUpload(upload);
}

std::unique_ptr<ReplyStream> BinaryWire::BeginStream(const Request& request) {
  return workspace_.binary_executor.BeginStream(request,
                                                [&host = workspace_.host] { host.WakeStreams(); });
}

LoginResult BinaryWire::ServeLogin(std::string_view& input, std::unique_ptr<SaslSession>& sasl,
                                   int client_number) {
  Request request;
  const protocol::ParseResult parsed = protocol::ParseBinary(input, request);
  if (parsed.status == ParseStatus::kNeedMore) return {};
  input.remove_prefix(parsed.consumed_bytes);
  LogUnauthenticated(workspace_, client_number);
  if (parsed.status == ParseStatus::kFatal) return {.status = LoginResult::Status::kFatal};
  return {.status = LoginResult::Status::kAnswered,
          .outcome = LogIn(request, sasl),
          .swallow_bytes = request.swallow_bytes};
}

LoginOutcome BinaryWire::LogIn(const Request& request, std::unique_ptr<SaslSession>& sasl) {
  return workspace_.binary_executor.LogIn(request, sasl);
}

}  // namespace larder::server
