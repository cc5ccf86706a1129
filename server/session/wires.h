// The protocols that there are.
#pragma once

#include "server/session/binary_wire.h"
#include "server/session/text_wire.h"
#include "server/session/wire.h"
#include "server/session/workspace.h"

namespace larder::server {

// Threads: one worker.
// Owns:    nothing of what it works on; the workspace must outlive it.
struct Wires {
  explicit Wires(Workspace& shared_workspace)
      : workspace(shared_workspace), text(shared_workspace), binary(shared_workspace) {}

  Workspace& workspace;
  TextWire text;
  BinaryWire binary;
};

}  // namespace larder::server
