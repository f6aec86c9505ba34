// Phases of a gradient as kernels take them (core/phases.h).
#pragma once

#include <algorithm>
#include <vector>

#include "core/axis.h"
#include "core/phases.h"
#include "cuda/device.h"
#include "cuda/gemm/block.h"

namespace dip::cuda {

// Every stride-th position from `first`, and of the taps every tap_step-th from `first_tap`, `taps` of them. Position q
// of the phase and its tap t meet in window q + first_window + t·window_step.
struct Phase {
  int first, count, first_tap, tap_step, taps, first_window, window_step;

  __host__ __device__ int lowest_window() const {
    return window_step < 0 ? first_window + (taps - 1) * window_step : first_window;
  }
};

inline Phase make_phase(const Axis& axis, std::int64_t first) {
  Phase result{};
  result.first = int(first);
  result.count = int((axis.input - first + axis.stride - 1) / axis.stride);
  result.tap_step = 1;
  for (std::int64_t tap = 0; tap < axis.kernel; ++tap) {
    if ((first + axis.pad_start - tap * axis.dilation) % axis.stride != 0) continue;
    if (result.taps == 0) result.first_tap = int(tap);
    if (result.taps == 1) result.tap_step = int(tap) - result.first_tap;
    ++result.taps;
  }
  // Divisible, as the taps of a phase are.
  result.first_window = int((first + axis.pad_start - result.first_tap * axis.dilation) / axis.stride);
  result.window_step = int(-(result.tap_step * axis.dilation) / axis.stride);
  return result;
}

// Some phases of an axis that one launch computes.
struct Phases {
  static constexpr int most = 4;
  int count = 0;
  Phase all[most] = {};

  int most_positions() const {
    int most_of_all = 0;
    for (int i = 0; i < count; ++i) most_of_all = std::max(most_of_all, all[i].count);
    return most_of_all;
  }
  int most_taps() const {
    int most_of_all = 0;
    for (int i = 0; i < count; ++i) most_of_all = std::max(most_of_all, all[i].taps);
    return most_of_all;
  }
};

// Of both axes, in the shared memory of a block: its threads ask for it seldom, and have few registers.
__device__ inline Shared<Phase> phases_of_block() {
  DIP_SHARED_ARRAY(Phase, phases, 2);
  return phases;
}

// The batches of a product: each of `groups` has all phases.
struct PhaseBatches {
  int groups;
  Phases h, w;

  __host__ __device__ int phases() const { return h.count * w.count; }
  __host__ __device__ int count() const { return groups * phases(); }
  // All threads of a block call this, before a problem begins with their batch.
  __device__ void begin_block() const {
    const Shared<Phase> of_block = phases_of_block();
    const int phase = static_cast<int>(blockIdx.z) % phases();
    if (threadIdx.x == 0) {
      of_block[0] = h.all[phase / w.count];
      of_block[1] = w.all[phase % w.count];
    }
    __syncthreads();
  }
};

// A block's own.
struct PhaseOfBlock {
  using Batches = PhaseBatches;
  static constexpr bool is_only = false;

  explicit PhaseOfBlock(const PhaseBatches&) {}

  __device__ static int group_of(const PhaseBatches& batches, int batch) { return batch / batches.phases(); }
  __device__ Phase h() const { return phases_of_block()[0]; }
  __device__ Phase w() const { return phases_of_block()[1]; }
};

// The same where there is one, as without a stride.
struct OnlyPhase {
  using Batches = AlikeBatches;
  static constexpr bool is_only = true;
  Phase of_h, of_w;

  explicit OnlyPhase(const PhaseBatches& batches) : of_h(batches.h.all[0]), of_w(batches.w.all[0]) {}

  __device__ static int group_of(const AlikeBatches&, int group) { return group; }
  __device__ Phase h() const { return of_h; }
  __device__ Phase w() const { return of_w; }
};

// Calls run with the kind of phase that these batches need, and with them.
template <class Run>
void with_phases(const PhaseBatches& batches, const Run& run) {
  if (batches.phases() == 1) return run(OnlyPhase(batches), AlikeBatches{batches.groups});
  run(PhaseOfBlock(batches), batches);
}

// All phases that some tap meets, for as few launches as there are sets.
inline std::vector<Phases> sets_of_phases(const Axis& axis) {
  std::vector<Phases> sets;
  for (std::int64_t first : met_phases(axis)) {
    if (sets.empty() || sets.back().count == Phases::most) sets.emplace_back();
    Phases& last = sets.back();
    last.all[last.count++] = make_phase(axis, first);
  }
  return sets;
}

}  // namespace dip::cuda
