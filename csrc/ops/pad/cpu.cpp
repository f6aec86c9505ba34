#include <algorithm>
#include <cstring>

#include "cpu/parallel.h"
#include "ops/pad/pad.h"

namespace dip::cpu {
using std::int64_t;

void pad2d(const Pad2d& p, int64_t planes, Reals x, RealResults y) {
  const int64_t in = p.height * p.width, out = p.new_height * p.new_width;
  // Columns [first, last) of y come from x.
  const int64_t first = std::clamp<int64_t>(p.left, 0, p.new_width);
  const int64_t last = std::max(first, std::min(p.left + p.width, p.new_width));
  parallel_planes(planes, out, [&](int64_t plane) {
    for (int64_t row = 0; row < p.new_height; ++row) {
      float* to = y + plane * out + row * p.new_width;
      const int64_t source = row - p.top;
      if (source < 0 || source >= p.height) {
        std::fill_n(to, p.new_width, p.value);
        continue;
      }
      std::fill(to, to + first, p.value);
      if (last > first) {
        std::memcpy(to + first, x + plane * in + source * p.width + first - p.left, (last - first) * sizeof(float));
      }
      std::fill(to + last, to + p.new_width, p.value);
    }
  });
}

}  // namespace dip::cpu
