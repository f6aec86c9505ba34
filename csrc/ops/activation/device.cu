// Activations on the GPU: 8 bytes an element forward and 12 backward, half of that in 16 bits; memory-bound.
#include "cuda/activation.h"
#include "cuda/half.h"
#include "ops/activation/activation.h"

namespace dip::cuda {
namespace {

// `fours` times four elements at once; then, or instead, one by one those up to `count`.
__global__ void activation_kernel(ActivationSpec a, std::int64_t fours, std::int64_t count, Reals x, RealResults y) {
  const auto f = [=](float value) { return activate(value, a.kind, a.alpha); };
  stream_elements(
      fours, [=](std::int64_t i) { return read_four(x, i); },
      [=](std::int64_t i, const Four& four) {
        write_four(y, i, {{f(four.at[0]), f(four.at[1]), f(four.at[2]), f(four.at[3])}});
      });
  stream_elements(
      4 * fours + first_element(), count, element_step(), [=](std::int64_t i) { return read(x, i); },
      [=](std::int64_t i, float value) { write(y, i, f(value)); });
}

__global__ void activation_backward_kernel(ActivationSpec a, std::int64_t fours, std::int64_t count, Reals dy, Reals y,
                                           RealResults dx) {
  struct Fours {
    Four dy, y;
  };
  struct Element {
    float dy, y;
  };
  stream_elements(
      fours, [=](std::int64_t i) { return Fours{read_four(dy, i), read_four(y, i)}; },
      [=](std::int64_t i, const Fours& four) {
        Four gradients;
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          gradients.at[k] = activation_gradient(four.dy.at[k], four.y.at[k], a.kind, a.alpha);
        }
        write_four(dx, i, gradients);
      });
  stream_elements(
      4 * fours + first_element(), count, element_step(),
      [=](std::int64_t i) { return Element{read(dy, i), read(y, i)}; },
      [=](std::int64_t i, Element e) { write(dx, i, activation_gradient(e.dy, e.y, a.kind, a.alpha)); });
}

__global__ void maxout_kernel(std::int64_t count, std::int64_t pieces, std::int64_t inner, Reals x, RealResults y,
                              std::int32_t* indices) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t first = i / inner * pieces * inner + i % inner;
    float best = read(x, first);
    std::int32_t index = 0;
    for (std::int64_t piece = 1; piece < pieces; ++piece) {
      const float value = read(x, first + piece * inner);
      // The first maximum wins; the first NaN wins over every number.
      if (!(value <= best) && best == best) {
        best = value;
        index = static_cast<std::int32_t>(piece);
      }
    }
    write(y, i, best);
    indices[i] = index;
  }
}

__global__ void maxout_backward_kernel(std::int64_t count, std::int64_t pieces, std::int64_t inner, Reals dy,
                                       const std::int32_t* indices, RealResults dx) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t piece = i / inner % pieces, from = i / inner / pieces * inner + i % inner;
    write(dx, i, indices[from] == piece ? read(dy, from) : 0.0f);
  }
}

}  // namespace

void activation_forward(ActivationSpec activation, std::int64_t count, Reals x, RealResults y) {
  const std::int64_t fours = moves_fours(x.data, x.dtype) && moves_fours(y.data, y.dtype) ? count / 4 : 0;
  launch_stream(activation_kernel, fours ? fours : count, activation, fours, count, x, y);
}

void activation_backward(ActivationSpec activation, std::int64_t count, Reals dy, Reals y, RealResults dx) {
  const bool aligned = moves_fours(dy.data, dy.dtype) && moves_fours(y.data, y.dtype) && moves_fours(dx.data, dx.dtype);
  const std::int64_t fours = aligned ? count / 4 : 0;
  launch_stream(activation_backward_kernel, fours ? fours : count, activation, fours, count, dy, y, dx);
}

void maxout_forward(std::int64_t channels, std::int64_t pieces, std::int64_t inner, Reals x, RealResults y,
                    std::int32_t* indices) {
  launch_elements(maxout_kernel, channels * inner, channels * inner, pieces, inner, x, y, indices);
}

void maxout_backward(std::int64_t channels, std::int64_t pieces, std::int64_t inner, Reals dy,
                     const std::int32_t* indices, RealResults dx) {
  const std::int64_t count = channels * pieces * inner;
  launch_elements(maxout_backward_kernel, count, count, pieces, inner, dy, indices, dx);
}

}  // namespace dip::cuda
