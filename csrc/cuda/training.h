// What a training step that stays on the GPU needs beside the operators. Its steps are replayed from a graph, so what
// changes from one to the next, the position in the epoch and the number of the update, lies on the GPU too.
#pragma once

#include <cstdint>

namespace dip::cuda {

// One array of which rows are gathered, in words of 4 bytes.
struct GatheredRows {
  const std::uint32_t* source;
  std::int64_t source_rows, words;
  std::uint32_t* out;
};
constexpr int most_gathered = 4;

// Row i of each `out` = row order[*position + i] of its `source`.
void gather_rows(const GatheredRows* arrays, int count, const std::int64_t* order, std::int64_t order_count,
                 const std::int64_t* position, std::int64_t rows);

// totals[0] += loss, a mean over Σ counts, times that; counts may be null where the loss is a sum. totals[1] += the
// number of rows of logits (rows, classes) that are largest at their label, where there are logits. Then *position
// moves on by `rows` and *update by one.
void finish_step(const double* loss, const float* counts, std::int64_t rows, std::int64_t classes, const float* logits,
                 const std::int64_t* labels, double* totals, std::int64_t* position, std::int64_t* update);

// y = a + b.
void add(std::int64_t count, const float* a, const float* b, float* y);

}  // namespace dip::cuda
