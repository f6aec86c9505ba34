#include <algorithm>
#include <numeric>
#include <vector>

#include "cpu/parallel.h"
#include "ops/boxes/params.h"
#include "ops/nms/nms.h"

namespace dip::cpu {

std::int64_t nms(std::int64_t count, double threshold, Reals boxes, Reals scores, const std::int64_t* classes,
                 std::int32_t* kept) {
  std::vector<std::int32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return scores[a] > scores[b] || (scores[b] != scores[b] && scores[a] == scores[a]);
  });
  std::vector<Corners> corners(count);
  std::vector<std::int64_t> class_of(count, 0);
  for (std::int64_t i = 0; i < count; ++i) {
    const float* box = boxes + 4 * std::int64_t{order[i]};
    corners[i] = {box[0], box[1], box[2], box[3]};
    if (classes) class_of[i] = classes[order[i]];
  }
  std::vector<unsigned char> left(count, 1);
  std::int64_t found = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    if (!left[i]) continue;
    kept[found++] = order[i];
    parallel_ranges(count - i - 1, 1 << 13, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t j = i + 1 + begin; j < i + 1 + end; ++j) {
        if (!left[j] || class_of[j] != class_of[i]) continue;
        const Overlap overlap = overlap_of(corners[i], corners[j]);
        left[j] = !(overlap.intersection > threshold * overlap.all);
      }
    });
  }
  return found;
}

}  // namespace dip::cpu
