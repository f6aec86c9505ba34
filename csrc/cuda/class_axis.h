// Work along the classes of a position, (outer, classes, inner): by a whole warp where they lie side by side, by one
// thread where neighbouring positions do. Either way neighbouring threads read neighbouring addresses.
#pragma once

#include <type_traits>

#include "cuda/half.h"
#include "cuda/long_sum.h"

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

// How a kernel goes along the classes: Lanes that share them, and how many of a lane's it keeps in registers; 0 where
// it may have more, and reads them again in every pass.
template <class Lanes_, int kept_>
struct ClassPlan {
  using Lanes = Lanes_;
  static constexpr int kept = kept_;
  using Sum = std::conditional_t<(kept_ > 0), ShortSum, LongSum>;  // of a lane's share
};

// A lane's share of the numbers of one position.
template <class Plan>
class Classes {
 public:
  __device__ Classes(Reals x, std::int64_t at, std::int64_t count, std::int64_t inner)
      : x_(x), at_(at), count_(count), inner_(inner) {
#pragma unroll
    for (int k = 0; k < Plan::kept; ++k) {
      const std::int64_t c = number(k);
      kept_[k] = c < count ? read(x, at + c * inner) : 0.0f;
    }
  }

  // Calls body(class, number). What it makes of the number stays where numbers are kept.
  template <class Body>
  __device__ void each(const Body& body) {
    if constexpr (Plan::kept > 0) {
#pragma unroll
      for (int k = 0; k < Plan::kept; ++k) {
        if (number(k) < count_) body(number(k), kept_[k]);
      }
    } else {
      for (std::int64_t c = Plan::Lanes::first(); c < count_; c += Plan::Lanes::count) {
        float value = read(x_, at_ + c * inner_);
        body(c, value);
      }
    }
  }

  // The largest of all lanes.
  __device__ float maximum() {
    float largest = -INFINITY;
    each([&](std::int64_t, float value) { largest = value > largest ? value : largest; });
    return Plan::Lanes::maximum(largest);
  }

  // Turns the numbers into e^(number − maximum), for exponential(), and calls body(class, number − maximum, that).
  template <class Body>
  __device__ void exponentiate(float maximum, const Body& body) {
    each([&](std::int64_t c, float& value) {
      const float shifted = value - maximum, power = expf(shifted);
      body(c, shifted, power);
      value = power;
    });
  }
  __device__ static float exponential(float value, float maximum) {
    return Plan::kept > 0 ? value : expf(value - maximum);
  }

 private:
  __device__ static std::int64_t number(int k) { return Plan::Lanes::first() + k * Plan::Lanes::count; }

  Reals x_;
  std::int64_t at_, count_, inner_;
  float kept_[Plan::kept > 0 ? Plan::kept : 1];
};

// Calls launch with the plan for so many classes.
template <class Launch>
void plan_classes(std::int64_t classes, std::int64_t inner, const Launch& launch) {
  if (inner > 1) {
    if (classes <= 8) return launch(ClassPlan<ThreadLanes, 8>{});
    if (classes <= 32) return launch(ClassPlan<ThreadLanes, 32>{});
    return launch(ClassPlan<ThreadLanes, 0>{});
  }
  if (classes <= 32) return launch(ClassPlan<WarpLanes, 1>{});
  if (classes <= 32 * 8) return launch(ClassPlan<WarpLanes, 8>{});
  if (classes <= 32 * 32) return launch(ClassPlan<WarpLanes, 32>{});
  launch(ClassPlan<WarpLanes, 0>{});
}

// Launches a kernel over so many positions.
template <class Plan, class... Parameters, class... Arguments>
void launch_positions(Plan, void (*kernel)(Parameters...), std::int64_t positions, Arguments... arguments) {
  launch_elements(kernel, positions * Plan::Lanes::count, arguments...);
}

}  // namespace dip::cuda
