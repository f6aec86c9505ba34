// Concatenation of a backend: blocks are copied into wider rows, or out of them.
#pragma once

#include "core/reals.h"

namespace dip::DIP_BACKEND {

// Rows of `length` elements: row r begins at r·from_step in one array and at r·to_step in the other.
struct RowCopy {
  std::int64_t rows, length, from_step, to_step;
  std::int64_t from_start, to_start;
};

void copy_rows(const RowCopy& p, Reals from, RealResults to);

}  // namespace dip::DIP_BACKEND
