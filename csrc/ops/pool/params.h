// The pooling that keeps no indices, as plain data.
#pragma once

#include "core/axis.h"

namespace dip {

enum class Pooling { average, sum, l2 };

struct Pool {
  Window3d window;  // of images, a single frame
  Pooling kind = Pooling::average;
  bool count_include_pad = true;  // of the average: divide by all taps, or by those inside the input
  bool divides_by_all = true;     // by the number of taps everywhere: no window reaches beyond the padding

  std::int64_t taps() const { return window.d.kernel * window.h.kernel * window.w.kernel; }
};

}  // namespace dip
