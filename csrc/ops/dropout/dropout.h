// Inverted dropout of a backend with a counter-based generator: the mask is a function of (seed, offset, position), so
// it needs no memory, is the same on every machine and backend, and the backward pass makes it again.
#pragma once

#include <cstdint>

#include "core/host_device.h"
#include "core/reals.h"

namespace dip {

struct Dropout {
  std::uint64_t seed = 0, offset = 0;
  const std::int64_t* more_offset = nullptr;  // where the arrays are: added to `offset`, when a graph is replayed too
  std::uint64_t threshold = 0;                // keep where the 32-bit number is at least p·2³²
  float scale = 1.0f;                         // 1/(1 − p)

  DIP_HOST_DEVICE std::uint64_t whole_offset() const {
    return offset + (more_offset ? static_cast<std::uint64_t>(*more_offset) : 0);
  }
};

namespace DIP_BACKEND {

// y[i] = scale · x[i] where Philox keeps i, else 0.
void dropout(const Dropout& p, std::int64_t count, Reals x, RealResults y);

}  // namespace DIP_BACKEND
}  // namespace dip
