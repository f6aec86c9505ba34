// A convolution of clips as convolutions of images (core/frames.h), for either backend. `Memory` is how that one
// copies: `Memory::copy(blocks, from, to)`, `Memory::zero(to, count)`, `Memory::at(array, i)`, and `Memory::Scratch`,
// made with what it serves for, how many numbers, and an array whose dtype it has.
#pragma once

#include <algorithm>
#include <optional>

#include "core/check.h"
#include "core/frames.h"
#include "core/reals.h"
#include "ops/conv/conv.h"
#include "ops/conv3d/conv3d.h"

namespace dip::DIP_BACKEND {

enum class Serves { source, result, weights };

// An array of clips (N, channels, frames, plane).
struct Clips {
  std::int64_t count, channels, frames, plane;

  std::int64_t channel() const { return frames * plane; }
  std::int64_t clip() const { return channels * channel(); }
};

inline Clips clips_of_x(const Conv3d& p) {
  return {p.frame.N, p.frame.C, p.d.input, p.frame.window.h.input * p.frame.window.w.input};
}

inline Clips clips_of_y(const Conv3d& p) {
  return {p.frame.N, p.frame.K, p.d.output, p.frame.window.h.output * p.frame.window.w.output};
}

// Numbers in the order of `blocks`: where they are, if they lie so, or else a copy.
template <class Memory>
class Ordered {
 public:
  Ordered(Serves serves, Blocks blocks, Reals from) : reals_(from) {
    if (blocks.lie_in_order(blocks.from)) return;
    blocks.to = blocks.in_order();
    scratch_.emplace(serves, blocks.numbers(), from);
    Memory::copy(blocks, from, scratch_->results());
    reals_ = scratch_->reals();
  }
  Reals reals() const { return reals_; }

 private:
  std::optional<typename Memory::Scratch> scratch_;
  Reals reals_;
};

// The images that `clips` clips from `first_clip` on and `count` frames of a run from its `i`-th on meet: their
// channels are those of all frames that the run's taps meet.
inline Blocks met_images(const Clips& from, const FrameRun& run, std::int64_t count, std::int64_t clips) {
  return {from.plane,
          {count, clips, from.channels, run.taps},
          {run.source_step * from.plane, from.clip(), from.channel(), run.between * from.plane},
          {}};
}

// Where the results of these images go.
inline Blocks result_images(const Clips& to, const FrameRun& run, std::int64_t count, std::int64_t clips) {
  return {to.plane, {count, clips, to.channels, 1}, {}, {run.step * to.plane, to.clip(), to.channel(), to.plane}};
}

// Calls convolve(run, images, source, result) for every run, some of its frames at a time, with the images that these
// meet and where their results go, as a batch of so many images each.
template <class Memory, class Convolve>
void convolve_runs(const std::vector<FrameRun>& runs, const Clips& from, Reals source, const Clips& to,
                   RealResults result, const Convolve& convolve) {
  for (const FrameRun& run : runs) {
    const std::int64_t image = std::max(from.channels * run.taps * from.plane, to.channels * to.plane);
    const std::int64_t images = std::max<std::int64_t>(Memory::numbers_at_once / image, 1);
    const std::int64_t clips_at_once = std::min(images, from.count);
    const std::int64_t frames_at_once = std::max<std::int64_t>(images / std::max<std::int64_t>(clips_at_once, 1), 1);
    for (std::int64_t i = 0; i < run.count; i += frames_at_once) {
      for (std::int64_t n = 0; n < from.count; n += clips_at_once) {
        const std::int64_t count = std::min(frames_at_once, run.count - i),
                           clips = std::min(clips_at_once, from.count - n);
        const Ordered<Memory> met(
            Serves::source, met_images(from, run, count, clips),
            Memory::at(source, n * from.clip() + (run.source + i * run.source_step) * from.plane));
        Blocks results = result_images(to, run, count, clips);
        const RealResults place = Memory::at(result, n * to.clip() + (run.first + i * run.step) * to.plane);
        if (results.lie_in_order(results.to)) {
          convolve(run, count * clips, met.reals(), place);
          continue;
        }
        const typename Memory::Scratch scratch(Serves::result, results.numbers(), source);
        convolve(run, count * clips, met.reals(), scratch.results());
        results.from = results.in_order();
        Memory::copy(results, scratch.reals(), place);
      }
    }
  }
}

inline std::int64_t frames_met(const std::vector<FrameRun>& runs) {
  std::int64_t sum = 0;
  for (const FrameRun& run : runs) sum += run.count;
  return sum;
}

// What frames of y that no tap meets are: activation(bias), or, as there is nothing to convolve, that of zeros.
template <class Memory>
void convolve_nothing(const Conv3d& p, Reals like, Reals bias, RealResults y) {
  Conv2d image = p.frame;
  const auto point = [](Axis& axis) { axis = {axis.output, 1, 1, 0, 0, 1, axis.output}; };
  point(image.window.h);
  point(image.window.w);
  image.N = 1;
  image.C = image.groups;
  const typename Memory::Scratch source(Serves::source, image.x_count(), like);
  const typename Memory::Scratch weights(Serves::weights, image.weight_count(), like);
  const typename Memory::Scratch frame(Serves::result, image.y_count(), like);
  Memory::zero(source.results(), image.x_count());
  Memory::zero(weights.results(), image.weight_count());
  conv2d_forward(image, source.reals(), weights.reals(), bias, frame.results());
  const Clips to = clips_of_y(p);
  Memory::copy(
      {to.plane, {to.count, to.frames, to.channels, 1}, {0, 0, to.plane, 0}, {to.clip(), to.plane, to.channel(), 0}},
      frame.reals(), y);
}

template <class Memory>
void forward_by_frames(const Conv3d& p, Reals x, Reals weight, Reals bias, RealResults y) {
  const std::vector<FrameRun> runs = forward_runs(p.d);
  if (frames_met(runs) < p.d.output) convolve_nothing<Memory>(p, x, bias, y);
  const std::int64_t taps = p.frame.taps(), rows = p.frame.K * p.frame.group_channels();
  const FrameRun* ready = nullptr;
  std::optional<Ordered<Memory>> weights;
  convolve_runs<Memory>(runs, clips_of_x(p), x, clips_of_y(p), y,
                        [&](const FrameRun& run, std::int64_t images, Reals source, RealResults result) {
                          if (ready != &run) {
                            const Blocks of_run{
                                taps, {1, 1, rows, run.taps}, {0, 0, p.d.kernel * taps, run.tap_step * taps}, {}};
                            weights.emplace(Serves::weights, of_run, Memory::at(weight, run.tap * taps));
                            ready = &run;
                          }
                          Conv2d image = p.frame;
                          image.N = images;
                          image.C *= run.taps;
                          conv2d_forward(image, source, weights->reals(), bias, result);
                        });
}

template <class Memory>
void backward_data_by_frames(const Conv3d& p, Reals dy, Reals weight, RealResults dx) {
  const std::vector<FrameRun> runs = backward_runs(p.d);
  if (frames_met(runs) < p.d.input) Memory::zero(dx, p.x_count());
  const std::int64_t taps = p.frame.taps(), channels = p.frame.group_channels(), frames = p.d.kernel;
  const FrameRun* ready = nullptr;
  std::optional<Ordered<Memory>> weights;
  convolve_runs<Memory>(runs, clips_of_y(p), dy, clips_of_x(p), dx,
                        [&](const FrameRun& run, std::int64_t images, Reals source, RealResults result) {
                          if (ready != &run) {
                            const Blocks of_run{taps,
                                                {1, p.frame.K, run.taps, channels},
                                                {0, channels * frames * taps, run.tap_step * taps, frames * taps},
                                                {}};
                            weights.emplace(Serves::weights, of_run, Memory::at(weight, run.tap * taps));
                            ready = &run;
                          }
                          Conv2d image = p.frame;
                          image.N = images;
                          image.K *= run.taps;
                          conv2d_backward_data(image, source, weights->reals(), result);
                        });
}

// Tap by tap: the images of both are single frames, those of dy in an order in which all that meet a tap follow each
// other.
template <class Memory>
void backward_weight_by_frames(const Conv3d& p, Reals dy, Reals x, RealResults dweight) {
  if (p.frame.N == 0) return Memory::zero(dweight, p.weight_count());
  const Clips of_x = clips_of_x(p), of_y = clips_of_y(p);
  const std::int64_t taps = p.frame.taps(), rows = p.frame.K * p.frame.group_channels();
  const Ordered<Memory> gradients(
      Serves::result,
      {of_y.plane, {of_y.frames, of_y.count, of_y.channels, 1}, {of_y.plane, of_y.clip(), of_y.channel(), 0}, {}}, dy);
  const Blocks weights{taps, {1, 1, rows, p.d.kernel}, {0, 0, taps, rows * taps}, {0, 0, p.d.kernel * taps, taps}};
  std::optional<typename Memory::Scratch> scratch;
  if (p.d.kernel > 1) scratch.emplace(Serves::weights, weights.numbers(), dy);
  const RealResults of_taps = scratch ? scratch->results() : dweight;
  for (const FrameRun& run : runs_of_taps(p.d)) {
    const RealResults of_tap = Memory::at(of_taps, run.tap * rows * taps);
    if (run.count == 0) {
      Memory::zero(of_tap, rows * taps);
      continue;
    }
    Conv2d image = p.frame;
    image.N *= run.count;
    const Ordered<Memory> frames(Serves::source, met_images(of_x, run, run.count, of_x.count),
                                 Memory::at(x, run.source * of_x.plane));
    const std::int64_t skipped = run.first * of_y.count * of_y.channels * of_y.plane;
    conv2d_backward_weight(image, Memory::at(gradients.reals(), skipped), frames.reals(), of_tap);
  }
  if (scratch) Memory::copy(weights, scratch->reals(), dweight);
}

// In words: the images that most of the result comes from, and how they are convolved.
inline std::string choice_by_frames(const std::string& op, const Conv3d& p) {
  const bool is_forward = op == "conv3d", is_data = op == "conv3d_backward_data";
  const std::vector<FrameRun> runs = is_forward ? forward_runs(p.d) : is_data ? backward_runs(p.d) : runs_of_taps(p.d);
  Conv2d image = p.frame;
  const auto longest = std::max_element(runs.begin(), runs.end(), [](const FrameRun& a, const FrameRun& b) {
    return a.count * a.taps < b.count * b.taps;
  });
  if (longest == runs.end()) return "nothing: no tap meets a frame";
  image.N *= longest->count;
  if (is_forward) image.C *= longest->taps;
  if (is_data) image.K *= longest->taps;
  const std::string of_images = is_forward ? "conv2d" : is_data ? "conv2d_backward_data" : "conv2d_backward_weight";
  return message("frames: ", of_images, " of ", image.N, " images, ", image.C, " to ", image.K, " channels; ",
                 conv2d_choice(of_images, image));
}

}  // namespace dip::DIP_BACKEND
