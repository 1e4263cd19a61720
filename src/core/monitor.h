// Progress and interruption of long work. The default does nothing.
#pragma once

#include "core/types.h"

namespace kinlmm {

class Monitor {
 public:
  virtual ~Monitor() = default;
  // Called from the main thread only, between blocks. May throw to stop the work.
  virtual void tick(Index /* done */, Index /* total */) {}
};

}  // namespace kinlmm
