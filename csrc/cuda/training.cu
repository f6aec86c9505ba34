#include "cuda/training.h"

#include "cuda/divisor.h"
#include "cuda/half.h"
#include "cuda/sum.h"

namespace dip::cuda {
namespace {

// An array whose rows are moved in units of four words, or of one where it is not made of whole fours.
struct Gathered {
  GatheredRows rows{};
  bool in_fours = false;
  std::int64_t units = 0;  // of a row
  IndexDivisor by_units{1, 0};

  Gathered() = default;
  Gathered(const GatheredRows& array, std::int64_t count)
      : rows(array),
        in_fours(array.words % 4 == 0 && is_octet_aligned(array.source) && is_octet_aligned(array.out)),
        units(in_fours ? array.words / 4 : array.words),
        by_units(units, count * units) {}
};

struct Gathering {
  Gathered arrays[most_gathered];
};

template <class Unit>
__device__ void gather_array(const Gathered& array, const std::int64_t* order, std::int64_t order_count,
                             std::int64_t position, std::int64_t rows) {
  const Unit* source = reinterpret_cast<const Unit*>(array.rows.source);
  Unit* out = reinterpret_cast<Unit*>(array.rows.out);
  const auto read_unit = [&](std::int64_t i) {
    const std::int64_t within = array.by_units.take_remainder(i), at = position + i;
    const std::int64_t row = at < order_count ? order[at] : -1;
    const bool there = row >= 0 && row < array.rows.source_rows;
    return there ? source[row * array.units + within] : Unit{};
  };
  stream_elements(first_element(), rows * array.units, element_step(), read_unit,
                  [&](std::int64_t i, const Unit& unit) { out[i] = unit; });
}

// A row of the grid's blocks for each array.
__global__ void gather_rows_kernel(Gathering gathering, const std::int64_t* order, std::int64_t order_count,
                                   const std::int64_t* position, std::int64_t rows) {
  // Chosen so, and not by an index: for that every thread would copy all of them to memory of its own.
  Gathered own = gathering.arrays[0];
#pragma unroll
  for (unsigned i = 1; i < most_gathered; ++i) {
    if (blockIdx.y == i) own = gathering.arrays[i];
  }
  if (own.in_fours) {
    gather_array<Octet>(own, order, order_count, *position, rows);
  } else {
    gather_array<std::uint32_t>(own, order, order_count, *position, rows);
  }
}

template <int threads>
__global__ void finish_step_kernel(const double* loss, const float* counts, std::int64_t rows, std::int64_t classes,
                                   const float* logits, const std::int64_t* labels, double* totals,
                                   std::int64_t* position, std::int64_t* update) {
  double count = 0.0;
  for (std::int64_t row = threadIdx.x; counts && row < rows; row += threads) count += counts[row];
  double right = 0.0;
  for (std::int64_t row = threadIdx.x; logits && row < rows; row += threads) {
    const float* z = logits + row * classes;
    float largest = z[0];
    std::int64_t best = 0;
#pragma unroll 4
    for (std::int64_t c = 1; c < classes; ++c) {
      const float value = z[c];
      best = value > largest ? c : best;
      largest = value > largest ? value : largest;
    }
    right += best == labels[row];
  }
  right = block_sum<threads>(right);
  count = counts ? block_sum<threads>(count) : 1.0;
  if (threadIdx.x != 0) return;
  if (count > 0.0) totals[0] += *loss * count;  // the mean of nothing is NaN
  totals[1] += right;
  *position += rows;
  *update += 1;
}

__global__ void add_arrays_kernel(std::int64_t count, const float* a, const float* b, float* y) {
  stream_elements(count, [=](std::int64_t i) { return a[i] + b[i]; }, [=](std::int64_t i, float sum) { y[i] = sum; });
}

}  // namespace

void gather_rows(const GatheredRows* arrays, int count, const std::int64_t* order, std::int64_t order_count,
                 const std::int64_t* position, std::int64_t rows) {
  if (count == 0 || rows == 0) return;
  Gathering gathering;
  std::int64_t most = 1;  // units of an array
  for (int i = 0; i < count; ++i) {
    gathering.arrays[i] = Gathered(arrays[i], rows);
    most = std::max(most, rows * gathering.arrays[i].units);
  }
  const std::int64_t blocks =
      std::min((most + threads_per_block - 1) / threads_per_block, std::int64_t{8} * multiprocessors());
  launch(gather_rows_kernel, Grid{static_cast<unsigned>(blocks), static_cast<unsigned>(count)},
         static_cast<unsigned>(threads_per_block), std::size_t{0}, gathering, order, order_count, position, rows);
}

void finish_step(const double* loss, const float* counts, std::int64_t rows, std::int64_t classes, const float* logits,
                 const std::int64_t* labels, double* totals, std::int64_t* position, std::int64_t* update) {
  constexpr int many = 1024;
  const bool is_small = rows <= threads_per_block;
  launch(is_small ? finish_step_kernel<threads_per_block> : finish_step_kernel<many>, 1u,
         is_small ? threads_per_block : many, loss, counts, rows, classes, logits, labels, totals, position, update);
}

void add(std::int64_t count, const float* a, const float* b, float* y) {
  launch_stream(add_arrays_kernel, count, count, a, b, y);
}

}  // namespace dip::cuda
