// Which instruction set the CPU kernels use.
//
// Every ops/<family>/kernels.cpp is compiled once for each set, into its own namespace. The best set the
// processor and the operating system support is taken at run time; the environment variable DIPKERNELS_ISA
// (baseline, avx2, avx512, avx512_bf16 or amx) or set_isa() caps it. The last two are AVX-512 with instructions for
// products of bfloat16 numbers; amx_emulated, for tests, has AMX's done by hand.
#pragma once

#include <string>
#include <vector>

namespace dip::cpu {

enum class Isa { baseline, avx2, avx512, avx512_bf16, amx, amx_emulated };

Isa active_isa();
std::string isa_name();
std::vector<std::string> available_isas();
void set_isa(const std::string& name);  // ValueError for a name the machine does not have

}  // namespace dip::cpu

// Declares a family's table of kernels for every set, and a function that returns the active one.
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
