// A convolution of clips as convolutions of images: every frame of the result is the convolution of an image whose
// channels are all channels of the frames that it meets. So all ways to convolve images serve clips, and nothing is
// summed up afterwards.
#pragma once

#include <array>
#include <vector>

#include "core/conv2d.h"

namespace dip {

// Frames of a result that meet the source with the same taps. The j-th tap of the i-th frame is that of the weights at
// `tap` + j·tap_step, and meets the source's frame at `source` + i·source_step + j·between.
struct FrameRun {
  std::int64_t first, step, count;  // frames of the result: first, first + step, …
  std::int64_t tap, tap_step, taps;
  std::int64_t source, source_step, between;
};

// Of an image, a clip of one frame.
constexpr FrameRun one_frame = {0, 1, 1, 0, 1, 1, 0, 1, 1};

// Of y in x.
std::vector<FrameRun> forward_runs(const Axis& d);

// Of dx in dy. Frames that no tap meets are in none.
std::vector<FrameRun> backward_runs(const Axis& d);

// For every tap, the frames of a result that meet the source with it. Of a tap that meets none, `count` is 0.
std::vector<FrameRun> runs_of_taps(const Axis& d);

// Numbers to copy, `block` at a time, between two arrays with distances of their own along four axes.
struct Blocks {
  using Axes = std::array<std::int64_t, 4>;
  std::int64_t block;
  Axes count, from, to;  // how many blocks along each axis, and distances in numbers

  std::int64_t numbers() const { return block * count[0] * count[1] * count[2] * count[3]; }
  // The distances where blocks lie one after the other.
  Axes in_order() const;
  // Whether these distances are such.
  bool lie_in_order(const Axes& distances) const;
};

}  // namespace dip
