#include <vector>

#include "cpu/parallel.h"
#include "ops/boxes/boxes.h"
#include "ops/boxes/kernels.h"

namespace dip::cpu {
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
  std::vector<double> arrays(4 * M);
  for (std::int64_t j = 0; j < 4 * M; ++j) arrays[j % 4 * M + j / 4] = b[j];
  const double* first = arrays.data();
  parallel_planes(N, M, [&](std::int64_t i) {
    const float* box = a + 4 * i;
    box_kernels().iou({box[0], box[1], box[2], box[3]}, {first, first + M, first + 2 * M, first + 3 * M}, M,
                      generalized, y + i * M);
  });
}

}  // namespace dip::cpu
