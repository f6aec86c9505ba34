#include "ops/activation/activation.h"

#include "cpu/parallel.h"
#include "ops/activation/kernels.h"

namespace dip::cpu {
namespace {

constexpr std::int64_t grain = 1 << 14;  // elements of small channels a task takes together

}  // namespace

void activation_forward(ActivationSpec activation, std::int64_t count, const float* x, float* y) {
  parallel_ranges(count, element_grain(count), [&](std::int64_t begin, std::int64_t end) {
    activation_kernels().forward(activation, end - begin, x + begin, y + begin);
  });
}

void activation_backward(ActivationSpec activation, std::int64_t count, const float* dy, const float* y, float* dx) {
  parallel_ranges(count, element_grain(count), [&](std::int64_t begin, std::int64_t end) {
    activation_kernels().backward(activation, end - begin, dy + begin, y + begin, dx + begin);
  });
}

void maxout_forward(std::int64_t channels, std::int64_t pieces, std::int64_t inner, Reals x, RealResults y,
                    std::int32_t* indices) {
  parallel_ranges(channels, grain / inner + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) {
      activation_kernels().maxout(pieces, inner, x + c * pieces * inner, y + c * inner, indices + c * inner);
    }
  });
}

void maxout_backward(std::int64_t channels, std::int64_t pieces, std::int64_t inner, Reals dy,
                     const std::int32_t* indices, RealResults dx) {
  parallel_ranges(channels, grain / inner + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) {
      for (std::int64_t piece = 0; piece < pieces; ++piece) {
        for (std::int64_t i = 0; i < inner; ++i) {
          dx[(c * pieces + piece) * inner + i] = indices[c * inner + i] == piece ? dy[c * inner + i] : 0.0f;
        }
      }
    }
  });
}

}  // namespace dip::cpu
