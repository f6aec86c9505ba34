// Work along the classes of a position, (outer, classes, inner): by a whole warp where they lie side by side, by one
// thread where neighbouring positions do. Either way neighbouring threads read neighbouring addresses.
#pragma once

#include "core/device.h"

namespace dip::cuda {

struct ThreadLanes {
  static constexpr int count = 1;
  __device__ static int first() { return 0; }
  __device__ static float sum(float x) { return x; }
  __device__ static float maximum(float x) { return x; }
};

// Every lane gets the result, which is the same for all: the tree is symmetric.
struct WarpLanes {
  static constexpr int count = 32;
  __device__ static int first() { return static_cast<int>(threadIdx.x) % count; }
  __device__ static float sum(float x) {
    for (int distance = count / 2; distance > 0; distance /= 2) x += shuffle_xor(x, distance);
    return x;
  }
  __device__ static float maximum(float x) {
    for (int distance = count / 2; distance > 0; distance /= 2) {
      const float other = shuffle_xor(x, distance);
      x = other > x ? other : x;
    }
    return x;
  }
};

// The first position of this thread or warp, and the distance to its next.
template <class Lanes>
__device__ std::int64_t first_position() {
  return first_element() / Lanes::count;
}
template <class Lanes>
__device__ std::int64_t position_step() {
  return element_step() / Lanes::count;
}

// Launches one of the two versions of a kernel over outer · inner positions.
template <class... Parameters, class... Arguments>
void launch_positions(void (*by_thread)(Parameters...), void (*by_warp)(Parameters...), std::int64_t outer,
                      std::int64_t inner, Arguments... arguments) {
  if (inner == 1) {
    launch_elements(by_warp, outer * WarpLanes::count, arguments...);
  } else {
    launch_elements(by_thread, outer * inner, arguments...);
  }
}

}  // namespace dip::cuda
