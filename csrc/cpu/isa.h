// Which instruction set the CPU kernels use: the best that the processor and the operating system support, found at run
// time and capped by the environment variable DIPKERNELS_ISA (baseline, avx2, avx512, avx512_bf16 or amx) or set_isa().
// The last two are AVX-512 with instructions for products of bfloat16 numbers; amx_emulated, for tests, runs AMX's
// in software.
#pragma once

#include <string>
#include <vector>

#include "cpu/kernel_table.h"

namespace dip::cpu {

std::string isa_name();
std::vector<std::string> available_isas();
void set_isa(const std::string& name);  // ValueError for a name the machine does not have

}  // namespace dip::cpu
