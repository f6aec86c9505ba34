// The pooling that keeps no indices, as plain data.
#pragma once

#include "core/axis.h"

namespace dip {

enum class Pooling { average, sum, l2 };

struct Pool2d {
  Window2d window;
  Pooling kind = Pooling::average;
  bool count_include_pad = true;  // of the average: divide by all F_h·F_w, or by the taps inside the input
  bool divides_by_all = true;     // by F_h·F_w everywhere: no window reaches beyond the padding
};

}  // namespace dip
