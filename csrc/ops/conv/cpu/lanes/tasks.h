// What the way by lanes runs: products of packed matrices of weights and images, in tasks.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/gemm/kernels.h"
#include "cpu/parallel.h"
#include "ops/conv/cpu/lanes/kernels.h"

namespace dip::cpu {

// Matrices of weights, one of each group, whose columns are those of so many taps in time. They are packed `step`
// columns of all rows, and all times, at a time: so a matrix is read nearly as it lies, and once.
struct LaneMatrix {
  const float* first;
  std::int64_t groups, group_stride;
  std::int64_t rows, row_stride;
  std::vector<std::int64_t> columns;
  std::int64_t times, step;

  std::int64_t depth() const { return static_cast<std::int64_t>(columns.size()); }
  std::int64_t panel() const { return depth() * packing_kernels().lanes; }
  std::int64_t packed_group() const { return divide_up(rows, packing_kernels().lanes) * panel(); }
  std::int64_t steps() const { return divide_up(depth() / times, step); }
  std::int64_t pairs() const { return divide_up(rows, two_panels()); }  // of a group's panels
  static std::int64_t two_panels() { return 2 * packing_kernels().lanes; }
};

// Images that lie in steps, and the product of the first of them in the first group, without its matrix.
struct LaneBatch {
  std::int64_t images;
  std::int64_t image_floats;  // that an image's product reads
  std::int64_t first_tap;     // the floats of a panel that come before those it takes
  LaneProduct product;
};

// The positions of the results that meet the same taps, one of the phases of a stride: their matrix, and the products.
struct LanePhase {
  std::vector<std::int64_t> offsets;  // that all products take
  LaneMatrix matrix;
  std::vector<LaneBatch> batches;  // of every phase the same images, batch by batch
  std::int64_t grid_h;

  std::int64_t packed_floats() const { return matrix.groups * matrix.packed_group(); }
};

// How far apart the groups lie.
struct LaneGroups {
  std::int64_t source, out;
};

// Runs the products of all images and groups.
void run_lane_products(const std::vector<LanePhase>& phases, const LaneGroups& groups);

}  // namespace dip::cpu
