#include "cuda/gemm/costs.h"

#include <cstring>

#include "core/check.h"
#include "cuda/gemm/plan.h"

namespace dip::cuda {
namespace {

// Fitted to an H100 (80 GB HBM3, driver 580, CUDA 13.0) on 2026-11-26, 116 convolutions.
GemmCosts costs = {
    {{{9.7, 1.9, 0.0}, {3.0, 4.5, 0.0}, {2.0, 3.9, 0.0}}},
    {{{6.2, 0.61, 6.0},
      {3.3, 1.75, 1.4},
      {3.1, 1.29, 2.4},
      {7.1, 0.62, 2.0},
      {11.5, 0.85, 1.5},
      {4.65, 0.269, 2.2},
      {41.6, 0.23, 0.8}}},
    75.0,
    3.3,
    115.0,
    900.0,
    1.4,
    10'000.0,
    0.0,
    10.0,
};

constexpr std::size_t count = sizeof(GemmCosts) / sizeof(double);

}  // namespace

const GemmCosts& gemm_costs() {
  return costs;
}

std::vector<double> listed_gemm_costs() {
  std::vector<double> listed(count);
  std::memcpy(listed.data(), &costs, sizeof costs);
  return listed;
}

std::vector<std::string> gemm_cost_names() {
  std::vector<std::string> names;
  const auto add_tiles = [&](const char* what, std::size_t tiles) {
    for (std::size_t tile = 0; tile < tiles; ++tile) {
      for (const char* cost : {"fixed", "element", "copies"}) {
        names.push_back(message(what, " ", name_of(static_cast<GemmTile>(tile)), " ", cost));
      }
    }
  };
  add_tiles("float32", costs.float32.size());
  add_tiles("packed", costs.packed.size());
  names.insert(names.end(), {"fma_rate", "fma_result", "fma_depth", "tensor_rate", "pack_rate", "launches",
                             "tensor_result", "tensor_depth"});
  return names;
}

void set_gemm_costs(const std::vector<double>& given) {
  check(given.size() == count, "set_gemm_costs: there are ", count, " costs, got ", given.size());
  std::memcpy(&costs, given.data(), sizeof costs);
}

}  // namespace dip::cuda
