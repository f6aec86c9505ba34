// Convolutions of few channels with stride 1, by blocks that bring parts of some planes to shared memory, zeros around
// them included, so that nothing is asked within the sums.
#pragma once

#include <algorithm>

#include "cuda/divisor.h"
#include "cuda/half.h"
#include "ops/conv/cuda/few_channels_strips.h"

namespace dip::cuda {

constexpr int staged_threads = 256;

// Numbers that a block may have in shared memory, so that a multiprocessor works on three at least.
inline int staged_floats() {
  constexpr int most = 18 << 10;
  return std::min(most, shared_bytes_a_block() / 3 / int(sizeof(float)));
}

// A rectangle of each of some planes as it lies in shared memory, in rows of `pitch` numbers.
struct StagedPlanes {
  int planes, rows, width, pitch;
  int lanes, lane_bits;  // neighbouring threads that take a row: a power of two
  Divisor of_plane;      // by the rows of one

  // Of rows of which `inside` numbers at most lie in the plane.
  StagedPlanes(int planes_, int rows_, int width_, int pitch_, int inside)
      : planes(planes_), rows(rows_), width(width_), pitch(pitch_), lanes(1), lane_bits(0), of_plane(rows_) {
    for (; lanes < inside && lanes < 32; lanes *= 2) ++lane_bits;
  }
  DIP_HOST_DEVICE int count() const { return planes * rows * pitch; }
};

// Starts to bring numbers first, first + step, … below `end`, from element source(i) of `from`, or a zero where that is
// negative, to place(i). float32 needs no detour through registers.
template <class Number, class Source, class Place>
__device__ void bring(int first, int end, int step, const Number* from, const Source& source, const Place& place) {
  if constexpr (std::is_same_v<Number, Single>) {
    for (int i = first; i < end; i += step) {
      const int at = source(i);
      copy_async(place(i), &from[at < 0 ? 0 : at].value, at >= 0);
    }
  } else {
    stream_elements(
        first, end, step,
        [&](int i) {
          const int at = source(i);
          return at < 0 ? 0.0f : from[at].widen();
        },
        [&](int i, float value) { place(i)[0] = value; });
  }
}

// Starts to bring `present` planes of height × width from the `first` of an array on, and of each the rectangle whose
// first element is (top, left). What is left or right of the planes is not written: clear() makes it zeros, once. All
// threads of the block take part.
template <class Number>
__device__ void stage_planes(const StagedPlanes& staged, Shared<float> to, const Number* from, int first, int present,
                             int height, int width, int top, int left) {
  const int thread = static_cast<int>(threadIdx.x), step = static_cast<int>(blockDim.x) >> staged.lane_bits;
  const int begin = left < 0 ? -left : 0, end = min(staged.width, width - left);
  for (int column = begin + (thread & (staged.lanes - 1)); column < end; column += staged.lanes) {
    const int of_column = (first * height + top) * width + left + column;
    const auto source = [&](int i) {
      int plane = i;
      const int row = staged.of_plane.take_remainder(plane);
      const bool inside = static_cast<unsigned>(top + row) < static_cast<unsigned>(height);
      return inside ? of_column + (plane * height + row) * width : -1;
    };
    bring(thread >> staged.lane_bits, present * staged.rows, step, from, source,
          [&](int i) { return to + (i * staged.pitch + column); });
  }
}

__device__ inline void clear(Shared<float> numbers, int count) {
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) numbers[i] = 0.0f;
}

// Whether these kernels can compute a convolution whose windows lie side by side.
inline bool can_be_staged(const Geometry& g) {
  return g.kernel_h == g.kernel_w && (g.kernel_h == 3 || g.kernel_h == 5) && g.stride_h == 1 && g.stride_w == 1 &&
         g.dilation_h == 1 && g.dilation_w == 1 && g.out_w <= staged_threads;
}

// Whether what pooling takes the maximum of lies in two neighbouring threads: windows of 2 × 2 that tile rows of even
// length.
inline bool can_pool_staged(const Conv2d& p, const Window2d& pool) {
  const auto halves = [](const Axis& axis) {
    return axis.kernel == 2 && axis.stride == 2 && axis.dilation == 1 && axis.pad_start == 0 &&
           axis.output == axis.input / 2;
  };
  return halves(pool.h) && halves(pool.w) && p.window.w.output % 2 == 0;
}

// Results of a correlation (forward, or the gradient of the data); it must be such that can_be_staged(). With
// `indices`, for float32, y holds the maxima of windows such that can_pool_staged(), and indices their places in a
// plane.
void correlate_staged(const Correlation& p, Reals x, Reals weight, Reals bias, RealResults y,
                      std::int32_t* indices = nullptr);

// Whether the gradient of the weights can be computed by conv2d_backward_weight_staged().
bool can_stage_weights(const Correlation& forward);
void conv2d_backward_weight_staged(const Correlation& forward, Reals dy, Reals x, RealResults dweight);
}  // namespace dip::cuda
