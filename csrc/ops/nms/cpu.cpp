#include <algorithm>
#include <numeric>
#include <vector>

#include "cpu/parallel.h"
#include "ops/boxes/kernels.h"
#include "ops/nms/nms.h"

namespace dip::cpu {

std::int64_t nms(std::int64_t count, double threshold, Reals boxes, Reals scores, const std::int64_t* classes,
                 std::int32_t* kept) {
  std::vector<std::int32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return scores[a] > scores[b] || (scores[b] != scores[b] && scores[a] == scores[a]);
  });
  // Places in this order, those of a class together: boxes of different classes never meet.
  std::vector<std::int32_t> places(count);
  std::iota(places.begin(), places.end(), 0);
  const auto class_at = [&](std::int64_t i) { return classes ? classes[order[places[i]]] : 0; };
  if (classes) {
    std::stable_sort(places.begin(), places.end(),
                     [&](std::int32_t a, std::int32_t b) { return classes[order[a]] < classes[order[b]]; });
  }
  std::vector<double> arrays(4 * count);
  const CornerArrays corners = {arrays.data(), &arrays[count], &arrays[2 * count], &arrays[3 * count]};
  for (std::int64_t i = 0; i < count; ++i) {
    for (int k = 0; k < 4; ++k) arrays[k * count + i] = boxes[4 * std::int64_t{order[places[i]]} + k];
  }
  std::vector<std::int64_t> left(count, 1);
  for (std::int64_t i = 0, end = 0; i < count; ++i) {
    if (i == end) {
      while (end < count && class_at(end) == class_at(i)) ++end;
    }
    if (!left[i]) continue;
    const Corners box = {corners.x1[i], corners.y1[i], corners.x2[i], corners.y2[i]};
    parallel_ranges(end - i - 1, 1 << 15, [&](std::int64_t first, std::int64_t last) {
      box_kernels().suppress(box, corners.from(i + 1 + first), last - first, threshold, &left[i + 1 + first]);
    });
  }
  std::vector<unsigned char> stays(count);
  for (std::int64_t i = 0; i < count; ++i) stays[places[i]] = left[i];
  std::int64_t found = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    if (stays[i]) kept[found++] = order[i];
  }
  return found;
}

}  // namespace dip::cpu
