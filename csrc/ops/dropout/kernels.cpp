// Dropout on the CPU, compiled once for each instruction set: 8 bytes and a quarter of a Philox block an element.
//
// Element i takes word i mod 4 of Philox's block with counter (offset, i / 4) and key (seed).
#include "ops/dropout/kernels.h"

#include "cpu/simd.h"
#include "ops/dropout/philox.h"

namespace dip::cpu::DIP_ISA {
namespace {

constexpr int B = 16;  // blocks computed side by side; the loops over B become vectors

void philox(std::uint64_t seed, std::uint64_t offset, std::uint64_t counter, std::uint32_t words[4 * B]) {
  std::uint32_t c0[B], c1[B], c2[B], c3[B];
  for (int b = 0; b < B; ++b) {
    c0[b] = static_cast<std::uint32_t>(counter + b);
    c1[b] = static_cast<std::uint32_t>((counter + b) >> 32);
    c2[b] = static_cast<std::uint32_t>(offset);
    c3[b] = static_cast<std::uint32_t>(offset >> 32);
  }
  PhiloxKey key = philox_key(seed);
  for (int round = 0; round < philox_rounds; ++round) {
    for (int b = 0; b < B; ++b) philox_round(c0[b], c1[b], c2[b], c3[b], key);
    key = next_philox_key(key);
  }
  for (int b = 0; b < B; ++b) {
    words[4 * b] = c0[b];
    words[4 * b + 1] = c1[b];
    words[4 * b + 2] = c2[b];
    words[4 * b + 3] = c3[b];
  }
}

void blocks(const Dropout& p, std::int64_t first_counter, std::int64_t count, const float* x, float* y) {
  std::uint32_t words[4 * B];
  for (std::int64_t i = 0; i < count; i += 4 * B) {
    philox(p.seed, p.whole_offset(), static_cast<std::uint64_t>(first_counter + i / 4), words);
    const std::int64_t n = count - i < 4 * B ? count - i : 4 * B;
    for (std::int64_t j = 0; j < n; ++j) y[i + j] = words[j] >= p.threshold ? x[i + j] * p.scale : 0.0f;
  }
}

}  // namespace

extern const DropoutKernels dropout_kernels = {
    .blocks = blocks,
};

}  // namespace dip::cpu::DIP_ISA
