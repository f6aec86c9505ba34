// Convolutions of few channels with stride 1, by blocks that bring parts of some planes to shared memory, zeros around
// them included, so that nothing is asked within the sums.
#pragma once

#include "cuda/divisor.h"
#include "cuda/half.h"
#include "ops/conv/cuda/few_channels_strips.h"

namespace dip::cuda {

constexpr int staged_threads = 256;
constexpr int staged_floats = 8 << 10;  // in shared memory, as far as there is a choice

// A rectangle of each of some planes as it lies in shared memory, in rows of `pitch` numbers.
struct StagedPlanes {
  int planes, rows, width, pitch;
  int lanes, lane_bits;  // neighbouring threads that take a row: a power of two
  Divisor of_plane;      // by the rows of one

  StagedPlanes(int planes_, int rows_, int width_, int pitch_)
      : planes(planes_), rows(rows_), width(width_), pitch(pitch_), lanes(1), lane_bits(0), of_plane(rows_) {
    for (; lanes < width && lanes < 32; lanes *= 2) ++lane_bits;
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

// Starts to bring plane p of `staged` from where plane_of(p) says, the first of its elements in memory or −1 for zeros,
// and of it the rectangle whose first element is (top, left) of a plane of height × width; what is outside is 0. All
// threads of the block take part.
template <class Number, class PlaneOf>
__device__ void stage_planes(const StagedPlanes& staged, Shared<float> to, const Number* from, int height, int width,
                             int top, int left, const PlaneOf& plane_of) {
  const int thread = static_cast<int>(threadIdx.x), step = static_cast<int>(blockDim.x) >> staged.lane_bits;
  for (int column = thread & (staged.lanes - 1); column < staged.width; column += staged.lanes) {
    const int w = left + column;
    const bool inside = static_cast<unsigned>(w) < static_cast<unsigned>(width);
    const auto source = [&](int i) {
      int p = i;
      const int h = top + staged.of_plane.take_remainder(p), plane = plane_of(p);
      const bool there = inside && plane >= 0 && static_cast<unsigned>(h) < static_cast<unsigned>(height);
      return there ? plane + h * width + w : -1;
    };
    bring(thread >> staged.lane_bits, staged.planes * staged.rows, step, from, source,
          [&](int i) { return to + (i * staged.pitch + column); });
  }
}

// Whether these kernels can compute a convolution whose windows lie side by side.
inline bool can_be_staged(const Geometry& g) {
  return g.kernel_h == g.kernel_w && (g.kernel_h == 3 || g.kernel_h == 5) && g.stride_h == 1 && g.stride_w == 1 &&
         g.dilation_h == 1 && g.dilation_w == 1 && g.out_w <= staged_threads;
}

// Results of a correlation (forward, or the gradient of the data); it must be such that can_be_staged().
void correlate_staged(const Correlation& p, Reals x, Reals weight, Reals bias, RealResults y);

// Whether the gradient of the weights can be computed by conv2d_backward_weight_staged().
bool can_stage_weights(const Correlation& forward);
void conv2d_backward_weight_staged(const Correlation& forward, Reals dy, Reals x, RealResults dweight);
}  // namespace dip::cuda
