// The `config` commands, by which clients discover the cluster, in both protocols. They are kept
// apart from the frequent commands: with more calls of a function there, the compiler would no
// longer inline it where it matters.
#include <cstring>
#include <string>

#include "protocol/text/text_reply.h"
#include "protocol/text/tokens.h"
#include "server/command/binary_executor.h"
#include "server/command/text_executor.h"

namespace larder::server {
namespace {

using protocol::BinaryRequest;
using protocol::BinaryStatus;
using protocol::BinaryVerb;
using protocol::Echo;
using protocol::LineRequest;

}  // namespace

// --- Text --------------------------------------------------------------------------------------

// `config get cluster`, `config set cluster ...` and `config delete cluster`. Any client may get
// the configuration.
void TextExecutor::Config(const LineRequest& request) {
  const protocol::Tokens words(request.arguments);
  // The name of the only thing that can be configured.
  const bool is_known = words[1] == kClusterConfigName;
  std::string_view reply = protocol::kError;
  // A `config get` is always replied, for it has no noreply.
  if (words[0] == "get") {
    counters_.Add(Stat::kCmdConfigGet);
    const auto cluster = is_known ? shared_.cluster.Current() : nullptr;
    // If there is no cluster, the reply has an end and no configuration.
    if (cluster != nullptr) {
      output_.Append(protocol::kConfigHead);
      output_.Append(std::to_string(cluster->value.size()));
      output_.Append(protocol::kCrlf);
      output_.Append(cluster->value);
      output_.Append(protocol::kCrlf);
    }
    return output_.Append(protocol::kEnd);
  }
  // The permission is checked first, before the name and the value.
  if (words[0] == "set" || words[0] == "delete") {
    if (!MayChangeCluster()) {
      reply = protocol::kConfigNotAllowed;
    } else if (words[0] == "set") {
      counters_.Add(Stat::kCmdConfigSet);
      reply = is_known ? ConfigSet(request) : protocol::kBadLine;
    } else {
      reply = is_known && shared_.cluster.Delete() ? protocol::kDeleted : protocol::kNotFound;
    }
  }
  Answer(reply, request);
}

// Sets the configuration that the request brings, and returns the reply.
std::string_view TextExecutor::ConfigSet(const LineRequest& request) {
  // A value that is too long was not received and is thrown away.
  if (request.value.size() != request.value_bytes) return protocol::kTooLarge;
  switch (shared_.cluster.SetValue(request.value, shared_.config.cluster_nodes_max)) {
    // A value that changes nothing is a success as well, so that a client may repeat the command.
    case ClusterChange::kChanged:
    case ClusterChange::kSame:
      return protocol::kStored;
    // Clients act only on a version that is greater than the last one they have seen, so the
    // version may not go back.
    case ClusterChange::kOldVersion:
    case ClusterChange::kNoVersion:
      return protocol::kOldConfigVersion;
    case ClusterChange::kBadList:
      break;
  }
  return protocol::kBadConfig;
}

// --- Binary ------------------------------------------------------------------------------------

// The binary form of `config get`.
void BinaryExecutor::ConfigGet(const BinaryRequest& request) {
  counters_.Add(Stat::kCmdConfigGet);
  const auto cluster = request.key == kClusterConfigName ? shared_.cluster.Current() : nullptr;
  if (cluster != nullptr) return AnswerCluster(request, *cluster);
  AnswerError(request.echo(), BinaryStatus::kKeyNotFound);
}

// The binary form of `config delete`.
void BinaryExecutor::ConfigDelete(const BinaryRequest& request) {
  if (!MayChangeCluster()) return AnswerError(request.echo(), BinaryStatus::kAuthError);
  if (request.key != kClusterConfigName || !shared_.cluster.Delete()) {
    return AnswerError(request.echo(), BinaryStatus::kKeyNotFound);
  }
  AnswerSuccess(request.echo(), 0);
}

// The binary form of `config set`.
void BinaryExecutor::ConfigSet(const BinaryRequest& request) {
  const Echo echo = request.echo();
  if (!MayChangeCluster()) return AnswerError(echo, BinaryStatus::kAuthError);
  counters_.Add(Stat::kCmdConfigSet);
  if (request.key != kClusterConfigName) return AnswerError(echo, BinaryStatus::kInvalidArguments);
  // A value that is too long was not received and is thrown away.
  if (request.value.size() != request.value_bytes) {
    return AnswerError(echo, BinaryStatus::kValueTooLarge);
  }
  switch (shared_.cluster.SetValue(request.value, shared_.config.cluster_nodes_max)) {
    case ClusterChange::kChanged:
    case ClusterChange::kSame:
      return AnswerSuccess(echo, 0);
    case ClusterChange::kOldVersion:
    case ClusterChange::kNoVersion:
      return AnswerError(echo, BinaryStatus::kKeyExists);
    case ClusterChange::kBadList:
      return AnswerError(echo, BinaryStatus::kInvalidArguments);
  }
}

// Sends the configuration like the value of an item whose CAS is the version of the configuration.
void BinaryExecutor::AnswerCluster(const BinaryRequest& request, const ClusterSnapshot& cluster) {
  const bool with_key = request.verb == BinaryVerb::kGetK || request.verb == BinaryVerb::kGatK;
  char* out = output_.Room(protocol::kHitHeadBytesMax + cluster.value.size());
  out = protocol::WriteReplyHead(out, request.echo(),
                                 {.extras_bytes = sizeof(std::uint32_t),
                                  .key_bytes = with_key ? request.key.size() : 0,
                                  .value_bytes = cluster.value.size(),
                                  .cas = cluster.version});
  // The extras are the client flags: none.
  protocol::StoreBig(out, std::uint32_t{0});
  out += sizeof(std::uint32_t);
  if (with_key) out = protocol::WriteKey(out, request.key);
  std::memcpy(out, cluster.value.data(), cluster.value.size());
  output_.Commit(out + cluster.value.size());
}

}  // namespace larder::server
