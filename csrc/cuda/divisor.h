// Division by a number that a kernel is launched with, as a multiplication: indices are taken apart by several.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace dip::cuda {

// Of numbers from 0 to 2³¹ − 1 by one from 1 to 2³¹ − 1, rounded down. Source: Granlund, Montgomery 1994.
struct Divisor {
  std::uint32_t divisor, multiplier, shift = 0;

  explicit Divisor(int by) : divisor(static_cast<std::uint32_t>(by)) {
    while (std::uint64_t{1} << shift < divisor) ++shift;
    const std::uint64_t above = (std::uint64_t{1} << shift) - divisor;
    multiplier = static_cast<std::uint32_t>((above << 32) / divisor + 1);
  }

  DIP_HOST_DEVICE int quotient(int number) const {
    const auto n = static_cast<std::uint32_t>(number);
    const auto high = static_cast<std::uint32_t>(std::uint64_t{n} * multiplier >> 32);
    return static_cast<int>((high + n) >> shift);
  }

  // The remainder, and the number becomes the quotient.
  DIP_HOST_DEVICE int take_remainder(int& number) const {
    const int whole = quotient(number), rest = number - whole * static_cast<int>(divisor);
    number = whole;
    return rest;
  }
};

}  // namespace dip::cuda
