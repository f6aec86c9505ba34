// The end of a transposed convolution on the CPU, compiled once for each instruction set: 8 bytes an element, while
// they are still in the cache.
#include "ops/conv_transpose/kernels.h"

#include "cpu/gemm/tiles.h"

namespace dip::cpu::DIP_ISA {
namespace {

void finish(float* plane, std::int64_t count, float bias, const ActivationSpec& activation) {
  finish_row(plane, count, bias, activation.kind, activation.alpha);
}

}  // namespace

extern const ConvTransposeKernels conv_transpose_kernels = {.finish = finish};

}  // namespace dip::cpu::DIP_ISA
