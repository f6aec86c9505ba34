// Boxes on the GPU: one box, or one pair, a thread.
#include "cuda/half.h"
#include "ops/boxes/boxes.h"

namespace dip::cuda {
namespace {

__device__ Corners corners_at(Reals boxes, std::int64_t i) {
  return {read(boxes, 4 * i), read(boxes, 4 * i + 1), read(boxes, 4 * i + 2), read(boxes, 4 * i + 3)};
}

__global__ void convert_boxes_kernel(BoxFormat in, BoxFormat out, std::int64_t count, Reals boxes, RealResults y) {
  for (std::int64_t i = first_element(); i < 2 * count; i += element_step()) {
    const std::int64_t at = i / 2 * 4 + i % 2;
    float a = read(boxes, at), b = read(boxes, at + 2);
    convert_axis(in, out, a, b);
    write(y, at, a);
    write(y, at + 2, b);
  }
}

__global__ void iou_kernel(bool generalized, std::int64_t M, std::int64_t count, Reals a, Reals b, RealResults y) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    write(y, i, iou_of(corners_at(a, i / M), corners_at(b, i % M), generalized));
  }
}

}  // namespace

void box_convert(BoxFormat in, BoxFormat out, std::int64_t count, Reals boxes, RealResults y) {
  launch_elements(convert_boxes_kernel, 2 * count, in, out, count, boxes, y);
}

void box_iou(bool generalized, std::int64_t N, std::int64_t M, Reals a, Reals b, RealResults y) {
  launch_elements(iou_kernel, N * M, generalized, M, N * M, a, b, y);
}

}  // namespace dip::cuda
