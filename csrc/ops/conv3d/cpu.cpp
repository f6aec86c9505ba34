#include <algorithm>
#include <optional>

#include "core/check.h"
#include "core/sum.h"
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

// Whether lanes would convolve the images that clips become, and may read the frames where they lie instead: `depth`
// is how many products a sum has.
bool lanes_serve(const std::vector<Candidate>& ways, int64_t depth) {
  return ways[0].way == Way::lanes && depth <= longest_sum;
}

bool forward_in_place(const Conv3d& p) {
  const std::vector<FrameRun> runs = forward_runs(p.d);
  if (frames_met(runs) < p.d.output) return false;
  Conv2d image = p.frame;
  image.N *= largest(runs).count;
  image.C *= largest(runs).taps;
  return lanes_serve(plan_forward(image).ways, image.group_channels() * image.taps());
}

bool backward_data_in_place(const Conv3d& p) {
  const std::vector<FrameRun> runs = backward_runs(p.d);
  if (frames_met(runs) < p.d.input) return false;
  Conv2d image = p.frame;
  image.N *= largest(runs).count;
  image.K *= largest(runs).taps;
  const DataPlan plan = plan_backward_data(image);
  return plan.meets_all() && lanes_serve(plan.ways, image.group_filters() * image.taps());
}

// Here the frames around a clip are multiplied too: worth it unless they are most of what the taps meet.
bool backward_weight_in_place(const Conv3d& p) {
  const std::vector<FrameRun> runs = runs_of_taps(p.d);
  if (2 * frames_met(runs) < p.d.kernel * p.d.output) return false;
  Conv2d image = p.frame;
  image.N *= largest(runs).count;
  return plan_backward_weight(image).ways[0].way == Way::lanes;
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
  return choice_by_frames(op, p);
}

}  // namespace dip::cpu
