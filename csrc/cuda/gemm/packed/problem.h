// What the three products of a convolution share: their numbers, their results, and how they are cut into blocks.
#pragma once

#include <type_traits>

#include "cuda/gemm/block.h"
#include "cuda/gemm/packed/packing.h"
#include "cuda/gemm/plan.h"

namespace dip::cuda {

// Calls run with a Number of packed_gemm as precise as is wanted, or more where TF32 would have to be transposed.
template <class Run>
void with_transposable_number(const Conv2d& p, DType dtype, const Run& run) {
  if (dtype == DType::float16) return run(AsStored<Half>{});
  if (dtype == DType::bfloat16) return run(AsStored<Bfloat>{});
  if (p.precision != Precision::highest) return run(SplitFloat<2>{});
  run(SplitFloat<3>{});
}
template <class Run>
void with_number(const Conv2d& p, DType dtype, const Run& run) {
  if (dtype == DType::float32 && p.precision == Precision::medium) return run(Tf32{});
  with_transposable_number(p, dtype, run);
}

// What the forward pass and the gradient of the data share: planes of results × positions.
template <class Number>
struct PlaneProduct : PackedOperands {
  static constexpr bool b_across = false, has_few_tiles = false;
  using Stored = typename Number::Stored;
  Stored* result;
  int out_width, out_plane, out_image;
  bool rows_side_by_side;

  PlaneProduct(const PackedView& view, std::int64_t images, const Packed& weights, const Packed& source, int rows_,
               std::int64_t out_height, std::int64_t out_width_, std::int64_t out_channels, void* result_)
      : PackedOperands(view, images, weights, source, rows_, int(images) * view.h.places * view.w.places,
                       view.h.taps * view.w.taps * view.channels),
        result(static_cast<Stored*>(result_)),
        out_width(int(out_width_)),
        out_plane(int(out_height * out_width_)),
        out_image(int(out_channels) * out_plane),
        rows_side_by_side(out_plane == 1) {}

  __device__ void begin(const AlikeBatches&, int group, int) {
    PackedOperands::begin(group);
    result += group * rows * out_plane;
  }
  __device__ int out_at(int j) const {
    const int x = j % w.places, y = j / w.places % h.places, n = j / w.places / h.places;
    return n * out_image + (h.out_first + y * h.out_step) * out_width + w.out_first + x * w.out_step;
  }
};

template <class Number, class Problem>
GemmPlan plan(const Problem& problem, std::int64_t batches, bool may_split) {
  TileKind kind = TileKind::warps;
  if (may_use_warpgroups() && has_warpgroup_products()) {
    kind = !problem.can_map(Number::parts) ? TileKind::warpgroups
           : Number::parts == 1            ? TileKind::mapped_wide
                                           : TileKind::mapped;
  }
  // One of TF32 takes as long as two of 16 bits.
  constexpr int products = std::is_same_v<Number, Tf32> ? 2 : Number::parts * (Number::parts + 1) / 2;
  return plan_gemm(
      {
          .rows = problem.rows,
          .columns = problem.columns,
          .depth = problem.depth,
          .batches = batches,
          .may_split = may_split,
          .kind = kind,
          .products = products,
      },
      multiprocessors());
}

}  // namespace dip::cuda
