#include "cuda/gemm/plan.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "core/check.h"
#include "cuda/gemm/costs.h"

namespace dip::cuda {
namespace {

struct Candidate {
  GemmTile tile;
  const char* name;
  std::int64_t rows, columns;
  int at_once;  // blocks of a multiprocessor
  TileKind kind;
};

constexpr Candidate candidates[] = {
    {GemmTile::large, "128x128", 128, 128, 2, TileKind::warps},
    {GemmTile::wide, "32x128", 32, 128, 2, TileKind::warps},
    {GemmTile::small, "64x64", 64, 64, 2, TileKind::warps},
    {GemmTile::warpgroups, "128x128 of warpgroups", 128, 128, 2, TileKind::warpgroups},
    {GemmTile::warpgroup, "64x128 of warpgroups", 64, 128, 2, TileKind::warpgroups},
    {GemmTile::mapped, "128x128 of mapped warpgroups", 128, 128, 1, TileKind::mapped},
    {GemmTile::mapped_wide, "128x256 of mapped warpgroups", 128, 256, 1, TileKind::mapped_wide},
};

// The candidate that set_gemm_tile chose, or null.
std::atomic<const Candidate*> chosen_tile{nullptr};

constexpr const char* kind_names[] = {"warps", "warpgroups", "mapped", "mapped wide"};

std::atomic<bool> keeps_planned{false};
std::mutex planned_mutex;
std::vector<PlannedProduct> planned;
std::vector<Packing> packings;

constexpr const char* small_product_name = "16x32";
std::atomic<bool> chose_small_products{false};

constexpr std::int64_t slice = 64, shortest_split = 256, most_splits = 64;
constexpr std::int64_t longest_split = 1 << 16;  // of what may be split: the error of a sum grows with its length

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

enum class Float32Products { automatic, fma, tensor };

Float32Products parse(const std::string& name, const char* source) {
  if (name == "auto") return Float32Products::automatic;
  if (name == "fma") return Float32Products::fma;
  check(name == "tensor", source, " must be \"auto\", \"fma\" or \"tensor\", got \"", name, "\"");
  return Float32Products::tensor;
}

std::atomic<Float32Products>& float32_products() {
  static std::atomic<Float32Products> products = [] {
    const char* name = std::getenv("DIPKERNELS_GPU_FLOAT32");
    return name && *name ? parse(name, "environment variable DIPKERNELS_GPU_FLOAT32") : Float32Products::automatic;
  }();
  return products;
}

std::atomic<bool>& warpgroups() {
  static std::atomic<bool> on = [] {
    const char* value = std::getenv("DIPKERNELS_GPU_WARPGROUPS");
    const std::string name = value && *value ? value : "on";
    check(name == "on" || name == "off",
          "environment variable DIPKERNELS_GPU_WARPGROUPS must be \"on\" or \"off\", got \"", name, "\"");
    return name == "on";
  }();
  return on;
}

}  // namespace

const char* name_of(TileKind kind) {
  return kind_names[static_cast<int>(kind)];
}

TileKind tile_kind(const std::string& name) {
  const auto found = std::find(std::begin(kind_names), std::end(kind_names), name);
  check(found != std::end(kind_names), R"(kind must be "warps", "warpgroups", "mapped" or "mapped wide", got ")", name,
        "\"");
  return static_cast<TileKind>(found - std::begin(kind_names));
}

std::string name_of(GemmTile tile) {
  return candidates[static_cast<int>(tile)].name;
}

void set_gemm_tile(const std::string& name) {
  chose_small_products = name == small_product_name;
  std::string known = message("\"auto\", \"", small_product_name, "\"");
  for (const Candidate& candidate : candidates) {
    if (name == candidate.name) {
      chosen_tile = &candidate;
      return;
    }
    known += message(", \"", candidate.name, "\"");
  }
  check(name == "auto" || chose_small_products, "set_gemm_tile: name must be one of ", known, ", got \"", name, "\"");
  chosen_tile = nullptr;
}

std::vector<PlannedProduct> take_planned_products() {
  const std::lock_guard<std::mutex> lock(planned_mutex);
  keeps_planned = true;
  return std::exchange(planned, {});
}

std::vector<Packing> take_packings() {
  const std::lock_guard<std::mutex> lock(planned_mutex);
  keeps_planned = true;
  return std::exchange(packings, {});
}

GemmPlan plan_gemm(const PlannedProduct& product, int multiprocessors) {
  const auto [rows, columns, depth, batches, may_split, kind, products] = product;
  if (keeps_planned) {
    const std::lock_guard<std::mutex> lock(planned_mutex);
    planned.push_back(product);
  }
  GemmPlan best{};
  double least = 0.0;
  const Candidate* chosen = chosen_tile;
  if (chosen && chosen->kind > kind) chosen = nullptr;
  for (const Candidate& candidate : candidates) {
    if (chosen ? &candidate != chosen : candidate.kind > kind) continue;
    const std::int64_t blocks = divide_up(rows, candidate.rows) * divide_up(columns, candidate.columns) * batches;
    std::int64_t splits = 1;
    if (may_split) {
      const std::int64_t wanted = divide_up(2 * multiprocessors, std::max<std::int64_t>(blocks, 1));
      splits = std::clamp<std::int64_t>(std::min(wanted, depth / shortest_split), 1, most_splits);
      splits = std::max(splits, divide_up(depth, longest_split));
    }
    const std::int64_t length = divide_up(divide_up(std::max<std::int64_t>(depth, 1), splits), slice) * slice;
    splits = divide_up(std::max<std::int64_t>(depth, 1), length);
    // The time of a full GPU's worth of blocks, as often as it takes.
    const auto tile = static_cast<std::size_t>(candidate.tile);
    const bool plain = products == 0 && candidate.kind == TileKind::warps;
    const TileCost& of = plain ? gemm_costs().float32[tile] : gemm_costs().packed[tile];
    const std::int64_t rounds = divide_up(blocks * splits, std::int64_t{multiprocessors} * candidate.at_once);
    const double multiply_adds = static_cast<double>(length * candidate.rows * candidate.columns) * 1e-6;
    const double block = of.fixed + of.element * multiply_adds * (std::max(products, 1) + of.copies);
    const double cost = static_cast<double>(rounds) * block;
    if (least == 0.0 || cost < least) {
      least = cost;
      best = {candidate.tile, static_cast<int>(splits), static_cast<int>(length)};
    }
  }
  return best;
}

GemmPlan plan_small_product(std::int64_t rows, std::int64_t columns, std::int64_t depth, int multiprocessors,
                            int most_blocks) {
  constexpr std::int64_t small_rows = 16, small_columns = 32, small_slice = 128;
  const std::int64_t blocks = divide_up(rows, small_rows) * divide_up(columns, small_columns);
  if (!chose_small_products && (!may_avoid_tiles() || blocks > most_blocks * multiprocessors)) return {};
  std::int64_t splits = 1;
  // Another launch is worth some eight slices.
  if (depth > 12 * small_slice) {
    splits = std::clamp<std::int64_t>(2 * multiprocessors / blocks, 1, divide_up(depth, 4 * small_slice));
  }
  splits = std::max(std::min(splits, most_splits), divide_up(depth, longest_split));
  const std::int64_t length = divide_up(divide_up(std::max<std::int64_t>(depth, 1), splits), small_slice) * small_slice;
  return {{}, static_cast<int>(divide_up(std::max<std::int64_t>(depth, 1), length)), static_cast<int>(length)};
}

bool packing_pays(const Packing& p, int multiprocessors) {
  if (keeps_planned) {
    const std::lock_guard<std::mutex> lock(planned_mutex);
    packings.push_back(p);
  }
  if (float32_products() != Float32Products::automatic) return float32_products() == Float32Products::tensor;
  const GemmCosts& costs = gemm_costs();
  const auto share = [&](std::int64_t of_all) { return static_cast<double>(of_all) / multiprocessors; };
  const double multiply_adds = share(p.results) * static_cast<double>(p.depth), depth = static_cast<double>(p.depth);
  const double plain =
      std::max(multiply_adds / costs.fma_rate + share(p.results) * costs.fma_result, depth * costs.fma_depth);
  const double packed = multiply_adds * p.products / costs.tensor_rate + share(p.results) * costs.tensor_result +
                        share(p.numbers) / costs.pack_rate + costs.launches + depth * p.products * costs.tensor_depth;
  return packed < plain;
}

bool may_avoid_tiles() {
  return !chosen_tile && float32_products() != Float32Products::tensor;
}

void set_float32_products(const std::string& name) {
  float32_products() = parse(name, "set_float32_products: name");
}

bool may_use_warpgroups() {
  return warpgroups();
}

void set_warpgroups(bool on) {
  warpgroups() = on;
}

}  // namespace dip::cuda
