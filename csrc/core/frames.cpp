#include "core/frames.h"

#include <algorithm>
#include <numeric>

#include "core/phases.h"

namespace dip {
namespace {

using std::int64_t;

// Splits the frames of a result into runs. `all` says what they would meet if the source had no end; it has `extent`
// frames.
void add_runs(const FrameRun& all, int64_t extent, std::vector<FrameRun>& runs) {
  const auto meets = [&](int64_t i, int64_t j) {
    const int64_t frame = all.source + i * all.source_step + j * all.between;
    return frame >= 0 && frame < extent;
  };
  for (int64_t i = 0; i < all.count; ++i) {
    int64_t first = 0, last = all.taps;
    while (first < last && !meets(i, first)) ++first;
    while (first < last && !meets(i, last - 1)) --last;
    if (first == last) continue;
    FrameRun run = all;
    run.first += i * all.step;
    run.count = 1;
    run.tap += first * all.tap_step;
    run.taps = last - first;
    run.source += i * all.source_step + first * all.between;
    FrameRun* before = runs.empty() ? nullptr : &runs.back();
    if (before && before->first + before->count * before->step == run.first && before->tap == run.tap &&
        before->taps == run.taps && before->step == run.step) {
      ++before->count;
    } else {
      runs.push_back(run);
    }
  }
}

}  // namespace

std::vector<FrameRun> forward_runs(const Axis& d) {
  std::vector<FrameRun> runs;
  add_runs(
      {
          .first = 0,
          .step = 1,
          .count = d.output,
          .tap = 0,
          .tap_step = 1,
          .taps = d.kernel,
          .source = -d.pad_start,
          .source_step = d.stride,
          .between = d.dilation,
      },
      d.input, runs);
  return runs;
}

std::vector<FrameRun> backward_runs(const Axis& d) {
  // Of the taps that meet a phase, every stride/gcd(stride, dilation)-th one does.
  const int64_t common = std::gcd(d.stride, d.dilation), tap_step = d.stride / common;
  std::vector<FrameRun> runs;
  for (int64_t first : met_phases(d)) {
    int64_t tap = 0;
    while ((first + d.pad_start - tap * d.dilation) % d.stride != 0) ++tap;
    add_runs(
        {
            .first = first,
            .step = d.stride,
            .count = (d.input - first + d.stride - 1) / d.stride,
            .tap = tap,
            .tap_step = tap_step,
            .taps = (d.kernel - tap + tap_step - 1) / tap_step,
            .source = (first + d.pad_start - tap * d.dilation) / d.stride,
            .source_step = 1,
            .between = -d.dilation / common,
        },
        d.output, runs);
  }
  return runs;
}

std::vector<FrameRun> runs_of_taps(const Axis& d) {
  std::vector<FrameRun> runs;
  for (int64_t tap = 0; tap < d.kernel; ++tap) {
    const int64_t shift = tap * d.dilation - d.pad_start;  // output i meets frame i·stride + shift
    const int64_t first = shift >= 0 ? 0 : (-shift + d.stride - 1) / d.stride;
    const int64_t last = shift >= d.input ? 0 : std::min(d.output, (d.input - 1 - shift) / d.stride + 1);
    runs.push_back({
        .first = first,
        .step = 1,
        .count = std::max<int64_t>(last - first, 0),
        .tap = tap,
        .tap_step = 1,
        .taps = 1,
        .source = first * d.stride + shift,
        .source_step = d.stride,
        .between = d.dilation,
    });
  }
  return runs;
}

Blocks::Axes Blocks::in_order() const {
  return {block * count[1] * count[2] * count[3], block * count[2] * count[3], block * count[3], block};
}

bool Blocks::lie_in_order(const Axes& distances) const {
  const Axes ordered = in_order();
  for (int axis = 0; axis < 4; ++axis) {
    if (count[axis] > 1 && distances[axis] != ordered[axis]) return false;
  }
  return true;
}

}  // namespace dip
