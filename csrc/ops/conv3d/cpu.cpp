#include <algorithm>
#include <optional>

#include "core/check.h"
#include "core/sum.h"
#include "cpu/costs.h"
#include "cpu/finite.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "ops/conv/cpu/definition.h"
#include "ops/conv/cpu/ways.h"
#include "ops/conv3d/by_frames.h"

namespace dip::cpu {
namespace {

using std::int64_t;

struct Memory {
  static constexpr int64_t numbers_at_once = 1 << 20;  // so that what is copied is read from a cache

  class Scratch {
   public:
    Scratch(Serves serves, int64_t count, const float*) {
      static thread_local cpu::Scratch kept[3];
      data_ = kept[static_cast<int>(serves)].floats(count);
    }
    float* results() const { return data_; }
    const float* reals() const { return data_; }

   private:
    float* data_;
  };

  template <class T>
  static T* at(T* array, int64_t i) {
    return array + i;
  }

  static void zero(float* to, int64_t count) {
    parallel_ranges(count, element_grain(count),
                    [&](int64_t begin, int64_t end) { std::fill(to + begin, to + end, 0.0f); });
  }

  static void copy(const Blocks& p, const float* from, float* to) {
    const int64_t blocks = p.count[0] * p.count[1] * p.count[2] * p.count[3];
    parallel_planes(blocks, p.block, [&](int64_t i) {
      const int64_t at[4] = {i / p.count[3] / p.count[2] / p.count[1], i / p.count[3] / p.count[2] % p.count[1],
                             i / p.count[3] % p.count[2], i % p.count[3]};
      const float* first = from;
      float* place = to;
      for (int axis = 0; axis < 4; ++axis) {
        first += at[axis] * p.from[axis];
        place += at[axis] * p.to[axis];
      }
      std::copy(first, first + p.block, place);
    });
  }
};

// The run that most of a result comes from.
const FrameRun& largest(const std::vector<FrameRun>& runs) {
  return *std::max_element(runs.begin(), runs.end(),
                           [](const FrameRun& a, const FrameRun& b) { return a.count * a.taps < b.count * b.taps; });
}

// What a way takes of images, in multiply-adds of one lane.
double cost_of(Way way, const std::vector<Candidate>& ways, const Conv2d& image) {
  const auto found = std::find_if(ways.begin(), ways.end(), [way](const Candidate& each) { return each.way == way; });
  return found == ways.end() ? impossible : found->cost * static_cast<double>(image.N * image.groups);
}

double cost_of_copy(const Blocks& blocks, const Blocks::Axes& distances) {
  return blocks.lie_in_order(distances) ? 0.0 : costs().clips_copy * static_cast<double>(blocks.numbers());
}

// Where a way is asked for: whether that is lanes, and they are possible.
std::optional<bool> lanes_are_asked(const std::vector<Candidate>& ways) {
  const std::optional<Way> asked = asked_way();
  return asked ? std::optional(*asked == Way::lanes && ways[0].way == Way::lanes) : std::nullopt;
}

// Whether lanes are to convolve clips and read the frames where they lie. The other ways convolve the images of a run,
// which are copied first.
bool lanes_serve(const Clips& from, const Clips& to, const FrameRun& run, const Conv2d& image,
                 const std::vector<Candidate>& ways) {
  if (const std::optional<bool> asked = lanes_are_asked(ways)) return *asked;
  const Blocks met = met_images(from, run, run.count, from.count),
               results = result_images(to, run, run.count, to.count);
  return cost_of(Way::lanes, ways, image) <
         cost_of(ways[0].way, ways, image) + cost_of_copy(met, met.from) + cost_of_copy(results, results.to);
}

bool forward_in_place(const Conv3d& p) {
  const std::vector<FrameRun> runs = forward_runs(p.d);
  if (frames_met(runs) < p.d.output) return false;
  const FrameRun& run = largest(runs);
  Conv2d image = p.frame;
  image.N *= run.count;
  image.C *= run.taps;
  if (image.group_channels() * image.taps() > longest_sum) return false;
  return lanes_serve(clips_of_x(p), clips_of_y(p), run, image, plan_forward(image).ways);
}

bool backward_data_in_place(const Conv3d& p) {
  const std::vector<FrameRun> runs = backward_runs(p.d);
  if (frames_met(runs) < p.d.input) return false;
  const FrameRun& run = largest(runs);
  Conv2d image = p.frame;
  image.N *= run.count;
  image.K *= run.taps;
  const DataPlan plan = plan_backward_data(image);
  if (!plan.meets_all() || image.group_filters() * image.taps() > longest_sum) return false;
  return lanes_serve(clips_of_y(p), clips_of_x(p), run, image, plan.ways);
}

// Here the frames around a clip are multiplied too, but dy is laid out once for all taps in time.
bool backward_weight_in_place(const Conv3d& p) {
  const std::vector<FrameRun> runs = runs_of_taps(p.d);
  const FrameRun& run = largest(runs);
  Conv2d image = p.frame;
  image.N *= run.count;
  const std::vector<Candidate> ways = plan_backward_weight(image).ways;
  if (const std::optional<bool> asked = lanes_are_asked(ways)) return *asked;
  const Blocks met = met_images(clips_of_x(p), run, run.count, p.frame.N);
  const double of_a_run = cost_of(ways[0].way, ways, image) + cost_of_copy(met, met.from);
  const Clips y = clips_of_y(p);
  Conv2d clip = p.frame;
  clip.N *= p.d.output;
  clip.C *= p.d.kernel;
  return backward_weight_lanes_cost(WeightPlan(clip)) * static_cast<double>(clip.N * clip.groups) <
         of_a_run * static_cast<double>(frames_met(runs)) / static_cast<double>(std::max<int64_t>(run.count, 1)) +
             costs().clips_copy * static_cast<double>(y.count * y.clip());
}

}  // namespace

void conv3d_forward(const Conv3d& p, const float* x, const float* weight, const float* bias, float* y) {
  if (forward_in_place(p)) return forward_clips_by_lanes(p, x, weight, bias, y);
  forward_by_frames<Memory>(p, x, weight, bias, y);
}

void conv3d_backward_data(const Conv3d& p, const float* dy, const float* weight, float* dx) {
  if (backward_data_in_place(p)) return backward_data_clips_by_lanes(p, dy, weight, dx);
  backward_data_by_frames<Memory>(p, dy, weight, dx);
}

void conv3d_backward_weight(const Conv3d& p, const float* dy, const float* x, float* dweight) {
  if (backward_weight_in_place(p)) {
    backward_weight_clips_by_lanes(p, dy, x, dweight);
    // Perhaps of infinities in dy times the zeros around a clip, which tap by tap are not there.
    if (!any_nan(dweight, p.weight_count())) return;
  }
  backward_weight_by_frames<Memory>(p, dy, x, dweight);
}

std::string conv3d_choice(const std::string& op, const Conv3d& p) {
  const bool in_place = op == "conv3d"                 ? forward_in_place(p)
                        : op == "conv3d_backward_data" ? backward_data_in_place(p)
                                                       : backward_weight_in_place(p);
  return (in_place ? "lanes: the frames are read where they lie; else " : "") + choice_by_frames(op, p);
}

}  // namespace dip::cpu
