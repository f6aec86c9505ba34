// Dropout on the GPU: one Philox4x32-10 block, four elements, a thread. The mask is the CPU's, bit for bit.
#include "cuda/half.h"
#include "ops/dropout/dropout.h"

namespace dip::cuda {
namespace {

__global__ void dropout_kernel(Dropout p, std::int64_t count, bool aligned, Reals x, RealResults y) {
  const std::uint64_t offset = p.whole_offset();
  for (std::int64_t block = first_element(); 4 * block < count; block += element_step()) {
    std::uint32_t k0 = static_cast<std::uint32_t>(p.seed), k1 = static_cast<std::uint32_t>(p.seed >> 32);
    std::uint32_t c[4] = {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                          static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(offset >> 32)};
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t first = std::uint64_t{0xD2511F53} * c[0], second = std::uint64_t{0xCD9E8D57} * c[2];
      c[0] = static_cast<std::uint32_t>(second >> 32) ^ c[1] ^ k0;
      c[1] = static_cast<std::uint32_t>(second);
      c[2] = static_cast<std::uint32_t>(first >> 32) ^ c[3] ^ k1;
      c[3] = static_cast<std::uint32_t>(first);
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
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
