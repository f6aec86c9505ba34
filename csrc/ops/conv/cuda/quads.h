// Convolutions one plane to one plane, depthwise ones above all: a thread reads rows of the image four results wide, as
// one piece where they lie so, and keeps them in registers.
#pragma once

#include "cuda/divisor.h"
#include "cuda/half.h"
#include "ops/conv/cuda/few_channels_strips.h"

namespace dip::cuda {

constexpr int quad = 4;
constexpr int unaligned =
    -1;  // padding at which no four numbers of a row are known to lie at a multiple of their bytes

template <class Number>
__device__ void read_quad(const Number* from, float* to) {
  if constexpr (std::is_same_v<Number, Single>) {
    const Four four = *reinterpret_cast<const Four*>(from);
#pragma unroll
    for (int k = 0; k < quad; ++k) to[k] = four.at[k];
  } else {
    const HalfFour four = *reinterpret_cast<const HalfFour*>(from);
#pragma unroll
    for (int k = 0; k < quad; ++k) to[k] = Number{four.at[k]}.widen();
  }
}

template <class Number>
__device__ void write_quad(Number* to, const float (&from)[quad]) {
  if constexpr (std::is_same_v<Number, Single>) {
    Four four;
#pragma unroll
    for (int k = 0; k < quad; ++k) four.at[k] = from[k];
    *reinterpret_cast<Four*>(to) = four;
  } else {
    HalfFour four;
#pragma unroll
    for (int k = 0; k < quad; ++k) four.at[k] = Number::round(from[k]).bits;
    *reinterpret_cast<HalfFour*>(to) = four;
  }
}

// Numbers first to first + count − 1 of a row, 0 outside it. With a padding of `pad`, number `pad` of them is at a
// multiple of four, and so is the row's length.
template <int count, int pad, class Number>
__device__ void read_row(const Number* row, int first, int width, bool present, float (&values)[count]) {
#pragma unroll
  for (int k = 0; k < count; ++k) {
    const bool begins_quad = pad != unaligned && k >= pad && (k - pad) % quad == 0 && k + quad <= count;
    const bool in_quad = pad != unaligned && k >= pad && k - (k - pad) % quad + quad <= count;
    const bool inside = present && static_cast<unsigned>(first + k) < static_cast<unsigned>(width);
    if (begins_quad) {
      if (inside) {
        read_quad(row + first + k, values + k);
      } else {
#pragma unroll
        for (int i = 0; i < quad; ++i) values[k + i] = 0.0f;
      }
    } else if (!in_quad) {
      values[k] = inside ? row[first + k].widen() : 0.0f;
    }
  }
}

// Whether rows of `width` of an array can be read four numbers at a time.
inline bool has_whole_quads(const void* data, DType dtype, int width) {
  return width % quad == 0 && moves_fours(data, dtype);
}

// Whether these kernels can compute what the windows of `p` meet.
inline bool can_be_quads(const Correlation& p) {
  return p.kernel_h == p.kernel_w && (p.kernel_h == 3 || p.kernel_h == 5) && p.stride_h == 1 && p.stride_w == 1 &&
         p.dilation_h == 1 && p.dilation_w == 1;
}

// Results of a correlation of few planes each.
bool can_correlate_by_quads(const Correlation& p);
void correlate_by_quads(const Correlation& p, Reals x, Reals weight, Reals bias, RealResults y);

void conv2d_backward_weight_by_quads(const Correlation& forward, Reals dy, Reals x, RealResults dweight);

}  // namespace dip::cuda
