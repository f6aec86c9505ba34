// Dropout on the GPU: one Philox4x32-10 block, four elements, a thread. The mask is the CPU's, bit for bit.
#include "cuda/half.h"
#include "ops/dropout/dropout.h"
#include "ops/dropout/philox.h"

namespace dip::cuda {
namespace {

__global__ void dropout_kernel(Dropout p, std::int64_t count, bool aligned, Reals x, RealResults y) {
  const std::uint64_t offset = p.whole_offset();
  for (std::int64_t block = first_element(); 4 * block < count; block += element_step()) {
    std::uint32_t c[4] = {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                          static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(offset >> 32)};
    PhiloxKey key = philox_key(p.seed);
    for (int round = 0; round < philox_rounds; ++round) {
      philox_round(c[0], c[1], c[2], c[3], key);
      key = next_philox_key(key);
    }
    if (aligned && 4 * block + 3 < count) {
      Four four = read_four(x, block);
      for (int j = 0; j < 4; ++j) four.at[j] = c[j] >= p.threshold ? four.at[j] * p.scale : 0.0f;
      write_four(y, block, four);
    } else {
      for (int j = 0; j < 4 && 4 * block + j < count; ++j) {
        const std::int64_t i = 4 * block + j;
        write(y, i, c[j] >= p.threshold ? read(x, i) * p.scale : 0.0f);
      }
    }
  }
}

}  // namespace

void dropout(const Dropout& p, std::int64_t count, Reals x, RealResults y) {
  const bool aligned = moves_fours(x.data, x.dtype) && moves_fours(y.data, y.dtype);
  launch_elements(dropout_kernel, (count + 3) / 4, p, count, aligned, x, y);
}

}  // namespace dip::cuda
