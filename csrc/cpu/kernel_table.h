// How a launcher reaches the vector kernels: a table of functions, one for each instruction set.
//
// Every kernels.cpp is compiled once for each set, into a namespace of its name, and there defines its table, say
//   extern const SoftmaxKernels softmax_kernels = {.forward = forward, .backward = backward};
// DIP_KERNEL_TABLE(SoftmaxKernels, softmax_kernels) in its kernels.h declares all of them, and softmax_kernels(), which
// returns the active one. Kernels include this and no library header, so that no function is shared between sets.
#pragma once

#include <cstdint>

namespace dip::cpu {

enum class Isa { baseline, avx2, avx512, avx512_bf16, amx, amx_emulated };

Isa active_isa();

}  // namespace dip::cpu

// The last three sets are AVX-512 with other instructions for bfloat16, whose kernels have a table of their own
// (cpu/gemm/bf16.h).
#if defined(__x86_64__)
#define DIP_KERNEL_TABLE(Table, name)            \
  namespace dip::cpu::baseline {                 \
  extern const Table name;                       \
  }                                              \
  namespace dip::cpu::avx2 {                     \
  extern const Table name;                       \
  }                                              \
  namespace dip::cpu::avx512 {                   \
  extern const Table name;                       \
  }                                              \
  namespace dip::cpu {                           \
  inline const Table& name() {                   \
    switch (active_isa()) {                      \
      case Isa::baseline: return baseline::name; \
      case Isa::avx2: return avx2::name;         \
      default: return avx512::name;              \
    }                                            \
  }                                              \
  }
#else
#define DIP_KERNEL_TABLE(Table, name) \
  namespace dip::cpu::baseline {      \
  extern const Table name;            \
  }                                   \
  namespace dip::cpu {                \
  inline const Table& name() {        \
    return baseline::name;            \
  }                                   \
  }
#endif
