// Philox4x32-10, the counter-based generator of both backends: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as
// easy as 1, 2, 3", SC 2011. Static functions, because kernels of several instruction sets share no others.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace dip {

struct PhiloxKey {
  std::uint32_t k0, k1;
};

static DIP_HOST_DEVICE inline PhiloxKey philox_key(std::uint64_t seed) {
  return {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
}

constexpr int philox_rounds = 10;

// One round of a block of four words. The key of the next one comes from next_philox_key().
static DIP_HOST_DEVICE inline void philox_round(std::uint32_t& c0, std::uint32_t& c1, std::uint32_t& c2,
                                                std::uint32_t& c3, const PhiloxKey& key) {
  const std::uint64_t first = std::uint64_t{0xD2511F53} * c0, second = std::uint64_t{0xCD9E8D57} * c2;
  c0 = static_cast<std::uint32_t>(second >> 32) ^ c1 ^ key.k0;
  c2 = static_cast<std::uint32_t>(first >> 32) ^ c3 ^ key.k1;
  c1 = static_cast<std::uint32_t>(second);
  c3 = static_cast<std::uint32_t>(first);
}

static DIP_HOST_DEVICE inline PhiloxKey next_philox_key(const PhiloxKey& key) {
  return {key.k0 + 0x9E3779B9, key.k1 + 0xBB67AE85};
}

}  // namespace dip
