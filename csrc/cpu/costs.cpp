#include "cpu/costs.h"

#include <cstring>
#include <iterator>

#include "core/check.h"

namespace dip::cpu {
namespace {

Costs current;

constexpr const char* names[] = {
    "tiles_product",  "tiles_result",  "tiles_in_place", "tiles_packed",    "tiles_run",       "tiles_panel",
    "lanes_single",   "lanes_fetch",   "lanes_result",   "lanes_copy",      "dots_product",    "dots_in_place",
    "images_product", "images_move",   "images_sum",     "images_distance", "bf16_source",     "bf16_gather",
    "bf16_weight",    "bf16_result",   "winograd_input", "winograd_output", "winograd_weight", "winograd_product",
    "winograd_sum",   "winograd_call", "clips_copy",     "pool_fused",      "pool_alone",      "linear_pack",
    "linear_rows",    "linear_result", "linear_float32",
};
constexpr std::size_t count = sizeof(Costs) / sizeof(double);
static_assert(std::size(names) == count, "every cost has a name");

}  // namespace

const Costs& costs() {
  return current;
}

std::vector<double> listed_costs() {
  std::vector<double> listed(count);
  std::memcpy(listed.data(), &current, sizeof current);
  return listed;
}

std::vector<std::string> cost_names() {
  return {std::begin(names), std::end(names)};
}

void set_costs(const std::vector<double>& given) {
  check(given.size() == count, "set_costs: there are ", count, " costs, got ", given.size());
  std::memcpy(static_cast<void*>(&current), given.data(), sizeof current);
}

}  // namespace dip::cpu
