// Concatenation on the GPU.
#include "cuda/divisor.h"
#include "cuda/half.h"
#include "ops/concatenate/concatenate.h"

namespace dip::cuda {
namespace {

// Steps and starts are counted in pieces of so many numbers, which are moved at once.
template <int piece>
__global__ void concatenate_kernel(RowCopy p, IndexDivisor by_length, Reals from, RealResults to) {
  struct Taken {
    Four numbers;
    std::int64_t to;
  };
  stream_elements(
      p.rows * p.length,
      [&](std::int64_t row) {
        const std::int64_t rest = by_length.take_remainder(row);
        const std::int64_t at = p.from_start + row * p.from_step + rest;
        Taken taken;
        taken.to = p.to_start + row * p.to_step + rest;
        if constexpr (piece == 4) {
          taken.numbers = read_four(from, at);
        } else {
          taken.numbers.at[0] = read(from, at);
        }
        return taken;
      },
      [&](std::int64_t, const Taken& taken) {
        if constexpr (piece == 4) {
          write_four(to, taken.to, taken.numbers);
        } else {
          write(to, taken.to, taken.numbers.at[0]);
        }
      });
}

}  // namespace

void copy_rows(const RowCopy& p, Reals from, RealResults to) {
  const bool whole = (p.length | p.from_step | p.to_step | p.from_start | p.to_start) % 4 == 0 &&
                     moves_fours(from.data, from.dtype) && moves_fours(to.data, to.dtype);
  const std::int64_t piece = whole ? 4 : 1, count = p.rows * p.length / piece;
  const RowCopy pieces{
      p.rows, p.length / piece, p.from_step / piece, p.to_step / piece, p.from_start / piece, p.to_start / piece};
  launch_stream(whole ? concatenate_kernel<4> : concatenate_kernel<1>, count, pieces,
                IndexDivisor(pieces.length, count), from, to);
}

}  // namespace dip::cuda
