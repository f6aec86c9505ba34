// Overlaps of boxes on the CPU, compiled once for each instruction set: loops without a branch, which vectorise.
#include "ops/boxes/kernels.h"

namespace dip::cpu::DIP_ISA {
namespace {

template <bool generalized>
void overlaps(const Corners& box, const CornerArrays& boxes, std::int64_t count, float* y) {
  for (std::int64_t j = 0; j < count; ++j) {
    y[j] = iou_of(box, {boxes.x1[j], boxes.y1[j], boxes.x2[j], boxes.y2[j]}, generalized);
  }
}

void iou(const Corners& box, const CornerArrays& boxes, std::int64_t count, bool generalized, float* y) {
  if (generalized) return overlaps<true>(box, boxes, count, y);
  overlaps<false>(box, boxes, count, y);
}

void suppress(const Corners& box, const CornerArrays& boxes, std::int64_t count, double threshold, std::int64_t* left) {
  for (std::int64_t j = 0; j < count; ++j) {
    const Overlap overlap = overlap_of(box, {boxes.x1[j], boxes.y1[j], boxes.x2[j], boxes.y2[j]});
    left[j] &= !(overlap.intersection > threshold * overlap.all);
  }
}

}  // namespace

extern const BoxKernels box_kernels = {.iou = iou, .suppress = suppress};

}  // namespace dip::cpu::DIP_ISA
