// How a float32 becomes a bfloat16 where no instruction does it.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace dip::cuda {

// The upper half of a float32, given by its bits, rounded to even. A NaN stays one, also where its upper half alone
// would be an infinity.
DIP_HOST_DEVICE inline std::uint16_t rounded_upper_half(std::uint32_t bits) {
  const bool is_number = (bits & 0x7fffffffu) <= 0x7f800000u;
  return static_cast<std::uint16_t>((is_number ? bits + 0x7fffu + (bits >> 16 & 1u) : bits | 0x400000u) >> 16);
}

}  // namespace dip::cuda
