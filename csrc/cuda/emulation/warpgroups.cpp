// Products of warpgroups: they read their operands in shared memory when they are waited for, and check that a barrier
// and a fence come before.
#include <stdexcept>
#include <utility>

#include "cuda/emulation/block.h"
#include "cuda/emulation/device.h"

namespace dip::emulation {

void fence_shared_matrices() {
  ++block->fiber().fences;
}

namespace {

// The number at one line and place in it; eight lines are 1024 bytes, and the octets of each are permuted.
float number_at(SharedMatrix matrix, std::uint64_t offset, NumberFormat format) {
  const std::uint64_t start = (matrix.descriptor & 0x3fff) << 4;
  const std::uint64_t place = start + offset, permuted = place ^ (place >> 7 & 7) << 4;
  if (permuted + static_cast<std::uint64_t>(format.bytes) > matrix.array->bytes.size())
    throw std::logic_error("an access outside a shared array");
  SharedArray::Word& word = matrix.array->words[permuted / 4];
  // These reads are of another kind than a thread's own: not even what the thread itself wrote is there without both.
  if (word.written_at >= 0) {
    if (word.written_at == block->barriers) {
      throw std::logic_error("a product uses shared memory that was written after the last barrier");
    }
    if (block->fibers[static_cast<std::size_t>(word.writer)].fences == word.fences) {
      throw std::logic_error("a product uses shared memory that no fence was put behind");
    }
  }
  word.reader = -2;
  word.read_at = block->barriers;
  return format.read(matrix.array->bytes.data() + permuted);
}

// Of the operand's depths and rows or columns, (line, depth).
std::uint64_t offset_in(SharedMatrix matrix, bool across, int line, int depth, int bytes) {
  const std::uint64_t leading = (matrix.descriptor >> 16 & 0x3fff) << 4, stride = (matrix.descriptor >> 32 & 0x3fff)
                                                                                  << 4;
  const auto at = [](int i) { return static_cast<std::uint64_t>(i); };
  return across ? at(line / 64) * leading + at(line % 64 * bytes) + at(depth / 8) * stride + at(depth % 8) * 128
                : at(line / 8) * stride + at(line % 8) * 128 + at(depth * bytes);
}

void read_operands(const GroupProduct& product, GroupOperands& to) {
  for (const SharedMatrix matrix : {product.a, product.b}) {
    if (matrix.descriptor >> 62 != 1) throw std::logic_error("a shared matrix has lines of 128 bytes");
  }
  const auto number = [&](SharedMatrix matrix, bool across, int line, int depth) {
    return number_at(matrix, offset_in(matrix, across, line, depth, product.format.bytes), product.format);
  };
  for (int k = 0; k < product.depth(); ++k) {
    for (int i = 0; i < 64; ++i) to.a[i][k] = number(product.a, product.a_across, i, k);
    for (int j = 0; j < 128; ++j) to.b[k][j] = number(product.b, product.b_across, j, k);
  }
}

}  // namespace

void begin_products() {
  block->fiber().products_begun = true;
}

void multiply_group(WarpgroupSums& sums, SharedMatrix a, bool a_across, SharedMatrix b, bool b_across,
                    NumberFormat format) {
  if (!block->fiber().products_begun) throw std::logic_error("products of a warpgroup were not begun");
  // 64 + 128 lines of 32 bytes.
  if (block->running % 128 == 0) count_event("products 64x128x16 of a warpgroup", (64 + 128) * 32 / 128);
  block->fiber().products.back().push_back({&sums, a, b, a_across, b_across, format});
}

void commit_products() {
  block->fiber().products.emplace_back();
  block->fiber().products_begun = false;
}

namespace {

// This thread's part of the sums.
DIP_UNSANITIZED void add_products(const GroupOperands& operands, int depth, WarpgroupSums& sums) {
  const int lane = static_cast<int>(block->running % 32), warp = static_cast<int>(block->running % 128 / 32);
  for (int j = 0; j < 16; ++j) {
    for (int part = 0; part < 4; ++part) {
      const int row = 16 * warp + lane / 4 + 8 * (part / 2), column = 8 * j + 2 * (lane % 4) + part % 2;
      double exact = sums[j][part];
      for (int k = 0; k < depth; ++k) exact += static_cast<double>(operands.a[row][k]) * operands.b[k][column];
      sums[j][part] = cuda::toward_zero(exact);
    }
  }
}

void finish(const std::vector<GroupProduct>& products) {
  Fiber& fiber = block->fiber();
  const std::size_t group = block->running / 128;
  for (const GroupProduct& product : products) {
    const auto key = std::pair(group, fiber.finished++);
    GroupOperands& operands = block->operands[key];
    if (operands.threads == 0) read_operands(product, operands);
    add_products(operands, product.depth(), *product.sums);
    if (++operands.threads == 128) block->operands.erase(key);
  }
}

}  // namespace

void wait_for_products(int pending) {
  auto& products = block->fiber().products;
  while (static_cast<int>(products.size()) > pending + 1) {
    finish(products.front());
    products.erase(products.begin());
  }
}

}  // namespace dip::emulation
