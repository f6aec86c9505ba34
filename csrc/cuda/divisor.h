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

// Of indices of any size: as Divisor where all of them are so small.
struct IndexDivisor {
  std::int64_t divisor;
  bool is_short;
  Divisor small;

  IndexDivisor(std::int64_t by, std::int64_t largest)
      : divisor(by > 0 ? by : 1),
        is_short(largest <= INT32_MAX && divisor <= INT32_MAX),
        small(is_short ? static_cast<int>(divisor) : 1) {}

  // The remainder, and the index becomes the quotient.
  DIP_HOST_DEVICE std::int64_t take_remainder(std::int64_t& index) const {
    if (is_short) {
      int whole = static_cast<int>(index);
      const int rest = small.take_remainder(whole);
      index = whole;
      return rest;
    }
    const std::int64_t rest = index % divisor;
    index /= divisor;
    return rest;
  }
};

}  // namespace dip::cuda
