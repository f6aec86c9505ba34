#include "core/conv2d.h"

namespace dip {

bool fits_32_bits(const Conv2d& p) {
  const Axis &h = p.window.h, &w = p.window.w;
  const auto small = [](std::int64_t a) { return a < std::int64_t{1} << 14; };
  const auto product_fits = [](std::int64_t images, std::int64_t a, std::int64_t b, std::int64_t c) {
    return images * a < (std::int64_t{1} << 30) / b / c;
  };
  for (const Axis* axis : {&h, &w}) {
    if (!small(axis->input + axis->pad_start + axis->pad_end) || !small(axis->kernel) || !small(axis->stride) ||
        !small(axis->dilation)) {
      return false;
    }
  }
  return product_fits(p.N, p.C, h.input + h.pad_start + h.pad_end, w.input + w.pad_start + w.pad_end) &&
         product_fits(p.N, p.K, h.output, w.output) && product_fits(p.K, p.group_channels(), h.kernel, w.kernel);
}

}  // namespace dip
