// The protocols of a worker.
#pragma once

#include "server/session/binary_wire.h"
#include "server/session/text_wire.h"
#include "server/session/wire.h"
#include "server/session/workspace.h"

namespace larder::server {

// Wires has one object for each protocol, shared by all sessions of a worker.
//
// Threads: one worker.
// Owns:    the protocols. The workspace must outlive it.
struct Wires {
  explicit Wires(Workspace& shared_workspace)
      : workspace(shared_workspace), text(shared_workspace), binary(shared_workspace) {}

  Workspace& workspace;
  TextWire text;
  BinaryWire binary;
};

}  // namespace larder::server
