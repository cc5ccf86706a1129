// The text protocol with its meta commands, as a session uses it.
#pragma once

#include "server/session/wire.h"

namespace larder::server {

// TextWire implements Wire for the lines of the text and the meta protocol, which share a
// connection. The contracts are in wire.h.
//
// Threads: one worker.
// Owns:    nothing; the workspace must outlive it.
class TextWire final : public Wire {
 public:
  explicit TextWire(Workspace& workspace) : workspace_(workspace) {}

  BatchResult ServeBatch(std::string_view& input, protocol::KeyList& keys,
                         const BatchLimits& limits) override;
  std::size_t value_end_bytes() const override;
  UploadBegin BeginUpload(std::size_t at) override;
  bool ReserveUpload(Upload& upload, UploadMemory::Share share) override;
  void FinishUpload(Upload& upload, std::string_view end) override;
  std::unique_ptr<ReplyStream> BeginStream(std::size_t at) override;
  LoginResult ServeLogin(std::string_view& input, std::unique_ptr<SaslSession>& sasl,
                         int client_number) override;
  LoginResult LogIn(std::size_t at, std::unique_ptr<SaslSession>& sasl) override;

 private:
  // The executor and the batch of the worker.
  Workspace& workspace_;
};

}  // namespace larder::server
