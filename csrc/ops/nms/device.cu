// Non-maximum suppression on the GPU: boxes are put in the order of their scores, then for some of them at a time bits
// say whom each would suppress, and one block goes through these in order.
#include <algorithm>

#include "cuda/half.h"
#include "ops/boxes/params.h"
#include "ops/nms/nms.h"

namespace dip::cuda {
namespace {

using Word = unsigned long long;
constexpr int word_bits = 64;

struct Ranked {
  Corners corners;
  std::int64_t label;
  std::int32_t index;
};

__device__ bool comes_before(float a, std::int64_t at_a, float b, std::int64_t at_b) {
  const bool a_is_nan = a != a, b_is_nan = b != b;
  if (a_is_nan || b_is_nan) return a_is_nan == b_is_nan ? at_a < at_b : b_is_nan;
  return a > b || (a == b && at_a < at_b);
}

// A box's place is the number of those before it.
__global__ void rank_kernel(std::int64_t count, Reals boxes, Reals scores, const std::int64_t* classes,
                            Ranked* ranked) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const float own = read(scores, i);
    std::int64_t place = 0;
    for (std::int64_t j = 0; j < count; ++j) place += comes_before(read(scores, j), j, own, i);
    const Corners corners = {read(boxes, 4 * i), read(boxes, 4 * i + 1), read(boxes, 4 * i + 2),
                             read(boxes, 4 * i + 3)};
    ranked[place] = {corners, classes ? classes[i] : 0, static_cast<std::int32_t>(i)};
  }
}

// Word w of row r: which of the boxes 64·w … that come after box first + r it suppresses.
__global__ void suppress_kernel(std::int64_t first, std::int64_t rows, std::int64_t count, std::int64_t words,
                                double threshold, const Ranked* ranked, Word* bits) {
  for (std::int64_t i = first_element(); i < rows * words; i += element_step()) {
    const std::int64_t row = first + i / words, begin = i % words * word_bits;
    const Ranked box = ranked[row];
    Word word = 0;
    for (std::int64_t j = begin > row ? begin : row + 1; j < begin + word_bits && j < count; ++j) {
      if (ranked[j].label != box.label) continue;
      const Overlap overlap = overlap_of(box.corners, ranked[j].corners);
      if (overlap.intersection > threshold * overlap.all) word |= Word{1} << (j - begin);
    }
    bits[i] = word;
  }
}

// The boxes of these rows that are left, by one block: `gone` is what those before them suppress.
__global__ void keep_kernel(std::int64_t first, std::int64_t rows, std::int64_t words, const Ranked* ranked,
                            const Word* bits, Word* gone, std::int32_t* kept, std::int64_t* found) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t row = first + r;
    const bool left = (gone[row / word_bits] >> row % word_bits & 1) == 0;
    __syncthreads();  // all have read it
    if (!left) continue;
    for (std::int64_t w = threadIdx.x; w < words; w += threads_per_block) gone[w] |= bits[r * words + w];
    if (threadIdx.x == 0) {
      kept[*found] = ranked[row].index;
      ++*found;
    }
    __syncthreads();
  }
}

}  // namespace

std::int64_t nms(std::int64_t count, double threshold, Reals boxes, Reals scores, const std::int64_t* classes,
                 std::int32_t* kept) {
  const std::int64_t words = (count + word_bits - 1) / word_bits;
  const std::int64_t rows = std::min(count, std::max<std::int64_t>((1 << 24) / words, 1));  // 128 MiB of bits
  const DeviceScratch<Ranked> ranked(count);
  const DeviceScratch<Word> bits(rows * words), gone(words);
  const DeviceScratch<std::int64_t> found(1);
  fill_zero(gone.data(), static_cast<std::size_t>(words) * sizeof(Word));
  fill_zero(found.data(), sizeof(std::int64_t));
  launch_elements(rank_kernel, count, count, boxes, scores, classes, ranked.data());
  const Ranked* in_order = ranked.data();
  for (std::int64_t first = 0; first < count; first += rows) {
    const std::int64_t some = std::min(rows, count - first);
    launch_elements(suppress_kernel, some * words, first, some, count, words, threshold, in_order, bits.data());
    launch(keep_kernel, 1u, static_cast<unsigned>(threads_per_block), first, some, words, in_order,
           static_cast<const Word*>(bits.data()), gone.data(), kept, found.data());
  }
  std::int64_t result = 0;
  copy_to_host(&result, found.data(), sizeof result);
  return result;
}

}  // namespace dip::cuda
