#include "core/gemm_plan.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "core/check.h"

namespace dip::cuda {
namespace {

struct Candidate {
  GemmTile tile;
  const char* name;
  std::int64_t rows, columns;
  // What an element of a tile costs against one of the largest, from the shared memory read for each product:
  // 1/rows + 1/columns of the tile, and a share for its prologue. To be replaced by measurements.
  double cost;
  TileKind kind;
};

constexpr Candidate candidates[] = {
    {GemmTile::large, "128x128", 128, 128, 1.0, TileKind::warps},
    {GemmTile::wide, "32x128", 32, 128, 1.5, TileKind::warps},
    {GemmTile::small, "64x64", 64, 64, 1.3, TileKind::warps},
    {GemmTile::warpgroups, "128x128 of warpgroups", 128, 128, 0.6, TileKind::warpgroups},
    {GemmTile::warpgroup, "64x128 of warpgroups", 64, 128, 0.7, TileKind::warpgroups},
    {GemmTile::mapped, "128x128 of mapped warpgroups", 128, 128, 0.55, TileKind::mapped},
    {GemmTile::mapped_wide, "128x256 of mapped warpgroups", 128, 256, 0.5, TileKind::mapped_wide},
};

// The candidate that set_gemm_tile chose, or null.
std::atomic<const Candidate*> chosen_tile{nullptr};

constexpr const char* kind_names[] = {"warps", "warpgroups", "mapped", "mapped wide"};

std::atomic<bool> keeps_planned{false};
std::mutex planned_mutex;
std::vector<PlannedProduct> planned;

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
    const std::int64_t waves = divide_up(blocks * splits, multiprocessors);
    const double cost = static_cast<double>(waves * length * candidate.rows * candidate.columns) * candidate.cost;
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

bool packing_pays(std::int64_t multiply_adds, std::int64_t numbers, int products, int multiprocessors) {
  if (float32_products() != Float32Products::automatic) return float32_products() == Float32Products::tensor;
  // In cycles of an H200: what a multiprocessor multiplies and packs in each, and two more launches. Estimates, to be
  // replaced by measurements.
  constexpr double fma_rate = 95.0, bf16_rate = 900.0, pack_rate = 1.4, launches = 10'000.0;
  const double share = static_cast<double>(multiply_adds) / multiprocessors;
  const double packing = static_cast<double>(numbers) / multiprocessors / pack_rate + launches;
  return share * products / bf16_rate + packing < share / fma_rate;
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
