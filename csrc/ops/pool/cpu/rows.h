// Rows of the input that windows take one after the other.
#pragma once

#include "core/axis.h"

namespace dip::cpu {

// Where windows are as wide as the input, the rows in them follow each other: a single long row does for all of them.
// Elements and windows keep their numbers.
inline Window3d with_rows_joined(Window3d p) {
  Axis &h = p.h, &w = p.w;
  if (w.pad_start != 0 || w.kernel != w.input || w.output != 1 || h.dilation * w.dilation != 1) return p;
  w = {h.input * w.input, h.kernel * w.input, h.stride * w.input, h.pad_start * w.input, h.pad_end * w.input, 1,
       h.output};
  h = {1, 1, 1, 0, 0, 1, 1};
  return p;
}

}  // namespace dip::cpu
