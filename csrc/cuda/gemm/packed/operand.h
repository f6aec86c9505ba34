// An operand of the packed product, and the image whose matrix is never built.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "core/conv2d.h"
#include "cuda/copy_kernels.h"
#include "cuda/gemm/packed/tiles.h"

namespace dip::cuda {

using Bits = std::uint16_t;

// An operand of a product, and the memory it is packed in, unless it is an array itself. Sizes count 16 bits.
struct Packed {
  std::int64_t padded, group, groups, part_size;  // channels of a group, filled up; a group, how many; all of a part
  const Bits* data = nullptr;
  std::unique_ptr<DeviceScratch<Bits>> memory = nullptr;

  Packed(std::int64_t padded_, std::int64_t group_, std::int64_t groups_)
      : padded(padded_), group(group_), groups(groups_), part_size(groups_ * group_) {}

  Bits* allocate(int parts) {
    memory = std::make_unique<DeviceScratch<Bits>>(parts * part_size);
    data = memory->data();
    return memory->data();
  }
};

// The row that neighbours were taken from to be channels: element place·step + tap·tap_step − pad of `size`.
struct UnfoldedRow {
  int taps = 1, step = 0, tap_step = 0, pad = 0, size = 1;
};

// One axis of a product: place q lies at first + q·step of the image, tap t at shift + t·shift_step from there, and the
// result of place q at out_first + q·out_step.
struct ProductAxis {
  int places, first, step, taps, shift, shift_step, out_first, out_step;
  int lowest = std::min(shift, shift + (taps - 1) * shift_step);  // shift of all that one map serves,
  int reach = (taps - 1) * std::abs(shift_step);                  // and how far the highest is from there

  // As a map has it: the positions with the lowest shift.
  __device__ __host__ MapAxis mapped() const { return {first + lowest, step, places}; }
  __device__ int shift_at(int tap) const { return shift + tap * shift_step; }
  bool can_map(std::int64_t size) const { return taps > 0 && cuda::can_map(mapped(), size, reach); }
};

inline ProductAxis forward_axis(const Axis& axis) {
  return {int(axis.output), -int(axis.pad_start), int(axis.stride), int(axis.kernel), 0, int(axis.dilation), 0, 1};
}

inline UnfoldedRow unfolded_row(const Conv2d& given, const Conv2d& unfolded) {
  const Axis& w = given.window.w;
  if (unfolded.window.w.kernel == w.kernel) return {};
  return {int(w.kernel), int(w.stride), int(w.dilation), int(w.pad_start), int(w.input)};
}

// An image whose channels lie side by side, and the places and shifts on it. Like offsets, channels count 16 bits.
struct PackedView {
  int height, width, channels;  // of a group, filled up
  ProductAxis h, w;
  UnfoldedRow row = {};

  __device__ Place at(int offset, int y, int x, int a) const { return {offset + (y * width + x) * channels, y, x, a}; }
  // Not so where an unfolded row had to go beyond its ends.
  __device__ bool meets(const Place& place, int number, int width) const {
    const int channel = number % channels / width;
    const int at = place.w * row.step + channel % row.taps * row.tap_step - row.pad;
    return at >= 0 && at < row.size;
  }
  __device__ Place place_at(int position) const {
    const int x = position % w.places, y = position / w.places % h.places, n = position / w.places / h.places;
    return at(n * height * width * channels, h.first + y * h.step, w.first + x * w.step, 0);
  }
  // The octet that begins there in the order of taps and channels.
  __device__ Place shift_at(int first) const {
    const int c = first % channels, s = first / channels % w.taps, r = first / channels / w.taps;
    return at(c, h.shift_at(r), w.shift_at(s), first);
  }
};

// A product of two packed operands, one with such a view.
struct PackedOperands : PackedView {
  int rows, columns, depth;
  const Bits *a, *b;
  std::int64_t a_part, b_part;  // distances of the parts
  int a_group, b_group, a_padded;
  int groups, group = 0;
  int images;  // of a group

  PackedOperands(const PackedView& view, std::int64_t images_, const Packed& left, const Packed& right, int rows_,
                 int columns_, int depth_)
      : PackedView(view),
        rows(rows_),
        columns(columns_),
        depth(depth_),
        a(left.data),
        b(right.data),
        a_part(left.part_size),
        b_part(right.part_size),
        a_group(int(left.group)),
        b_group(int(right.group)),
        a_padded(int(left.padded)),
        groups(int(left.groups)),
        images(int(images_)) {}

  __device__ void begin(int group_) {
    group = group_;
    a += group * a_group;
    b += group * b_group;
  }

  // For the kernel whose operands the copy unit brings.
  bool can_map(int /*parts*/) const {
    return channels % 64 == 0 && h.can_map(height) && w.can_map(width) && cuda::can_map(a_part * 2) &&
           cuda::can_map(b_part * 2);
  }
  template <class T>
  TensorMap map_b() const {
    return map_positions(b, {channels, width, height, T::parts * groups * images}, w.mapped(), h.mapped(), T::B::lines);
  }
  template <class T>
  __device__ void copy_b(Shared<Bits> to, const TensorMap& map, Shared<PhaseBarrier> barrier, int part, int d,
                         int j) const {
    const int position = T::b_across ? d : j;
    const int x = position % w.places, y = position / w.places % h.places, n = position / w.places / h.places;
    for (int column = 0; column < (T::b_across ? T::columns / 64 : 1); ++column) {
      // Of columns those behind the last one are not stored, but bytes are expected for them.
      const int first = T::b_across ? min(j + column * 64, columns - 64) : d;
      const int c = first % channels, s = first / channels % w.taps, r = first / channels / w.taps;
      copy_positions_async(to + column * T::B::lines * 64, map, barrier, c, w.mapped().first + x * w.step,
                           h.mapped().first + y * h.step, (part * groups + group) * images + n,
                           w.shift_at(s) - w.lowest, h.shift_at(r) - h.lowest);
    }
  }
};

}  // namespace dip::cuda
