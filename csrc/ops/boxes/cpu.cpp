#include "cpu/parallel.h"
#include "ops/boxes/boxes.h"

namespace dip::cpu {
namespace {

Corners corners_at(Reals boxes, std::int64_t i) {
  const float* box = boxes + 4 * i;
  return {box[0], box[1], box[2], box[3]};
}

}  // namespace

void box_convert(BoxFormat in, BoxFormat out, std::int64_t count, Reals boxes, RealResults y) {
  parallel_ranges(count, 1 << 14, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      for (int axis = 0; axis < 2; ++axis) {
        float a = boxes[4 * i + axis], b = boxes[4 * i + 2 + axis];
        convert_axis(in, out, a, b);
        y[4 * i + axis] = a;
        y[4 * i + 2 + axis] = b;
      }
    }
  });
}

void box_iou(bool generalized, std::int64_t N, std::int64_t M, Reals a, Reals b, RealResults y) {
  parallel_planes(N, M, [&](std::int64_t i) {
    const Corners box = corners_at(a, i);
    for (std::int64_t j = 0; j < M; ++j) y[i * M + j] = iou_of(box, corners_at(b, j), generalized);
  });
}

}  // namespace dip::cpu
