// Tiles of bfloat16 products on AMX's matrix unit: four sums of 16 × 16 in tile registers, two tiles of each operand.
//
// With several parts, the products of one step are taken in an order in which each but the first needs only one
// operand anew: two loads for four products, and the multiplier is the limit.
#include "cpu/gemm/bf16.h"

#if defined(DIP_AMX_EMULATED)
#include "cpu/gemm/amx_emulated.h"
#else
#include "cpu/gemm/amx.h"
#endif

namespace dip::cpu::DIP_ISA {
namespace {

constexpr std::int64_t sums_line = bf16_columns * sizeof(float);

// Tile registers: sums of row half i and column half j in 2i + j, then two tiles of a and two of b.
template <int Rows, int Columns>
struct Tiles {
  static void load_a(const Bf16Product& p, const std::uint16_t* a) {
    amx::load<4>(a + p.row[0], (p.row[1] - p.row[0]) * 2);
    if constexpr (Rows > 1) amx::load<5>(a + p.row[16], (p.row[17] - p.row[16]) * 2);
  }
  static void load_b(const std::uint16_t* b) {
    amx::load<6>(b, 64);
    if constexpr (Columns > 1) amx::load<7>(b + bf16_half, 64);
  }
  static void multiply() {
    amx::multiply<0, 4, 6>();
    if constexpr (Columns > 1) amx::multiply<1, 4, 7>();
    if constexpr (Rows > 1) amx::multiply<2, 5, 6>();
    if constexpr (Rows > 1 && Columns > 1) amx::multiply<3, 5, 7>();
  }

  static void run(const Bf16Product& p, int products) {
    begin(p);
    for (const Bf16Step* step = p.steps; step < p.steps + p.count; ++step) {
      const std::uint16_t *a = p.a + step->a, *b = p.b + step->b;
      if (products == 6) {
        load_a(p, a);
        load_b(b + 2 * p.b_part);
        multiply();
        load_b(b + p.b_part);
        multiply();
        load_a(p, a + p.a_part);
        multiply();
        load_b(b);
        multiply();
        load_a(p, a + 2 * p.a_part);
        multiply();
      } else if (products == 3) {
        load_a(p, a);
        load_b(b + p.b_part);
        multiply();
        load_a(p, a + p.a_part);
        load_b(b);
        multiply();
      } else {
        load_b(b);
      }
      load_a(p, a);
      multiply();
    }
    end(p);
  }

 private:
  static void begin(const Bf16Product& p) {
    if (!p.accumulate) {
      amx::zero<0>();
      if constexpr (Columns > 1) amx::zero<1>();
      if constexpr (Rows > 1) amx::zero<2>();
      if constexpr (Rows > 1 && Columns > 1) amx::zero<3>();
      return;
    }
    amx::load<0>(p.sums, sums_line);
    if constexpr (Columns > 1) amx::load<1>(p.sums + 16, sums_line);
    if constexpr (Rows > 1) amx::load<2>(p.sums + 16 * bf16_columns, sums_line);
    if constexpr (Rows > 1 && Columns > 1) amx::load<3>(p.sums + 16 * bf16_columns + 16, sums_line);
  }
  static void end(const Bf16Product& p) {
    amx::store<0>(p.sums, sums_line);
    if constexpr (Columns > 1) amx::store<1>(p.sums + 16, sums_line);
    if constexpr (Rows > 1) amx::store<2>(p.sums + 16 * bf16_columns, sums_line);
    if constexpr (Rows > 1 && Columns > 1) amx::store<3>(p.sums + 16 * bf16_columns + 16, sums_line);
  }
};

void product(const Bf16Product& p, std::int64_t rows, std::int64_t columns, int products) {
  amx::configure();
  if (rows > 16) {
    columns > 16 ? Tiles<2, 2>::run(p, products) : Tiles<2, 1>::run(p, products);
  } else {
    columns > 16 ? Tiles<1, 2>::run(p, products) : Tiles<1, 1>::run(p, products);
  }
  amx::release();
}

#if defined(DIP_AMX_EMULATED)
// So cheap that every test goes this way.
double step_cost(std::int64_t, std::int64_t, int) {
  return -1e30;
}
#else
// 16 cycles a product of registers, a third more where the loads are not in time, beside two float32 vectors a cycle.
double step_cost(std::int64_t rows, std::int64_t columns, int products) {
  const int registers = (rows > 16 ? 2 : 1) * (columns > 16 ? 2 : 1) * products;
  return registers * 16 * 32 * 1.33;
}
#endif

}  // namespace

extern const Bf16Tiles tiles = {32, true, 3, step_cost, product};

}  // namespace dip::cpu::DIP_ISA
