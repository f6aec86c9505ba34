// The tiles of the packed product: what a block computes and keeps in shared memory.
#pragma once

#include <algorithm>
#include <type_traits>

#include "cuda/gemm/block.h"

namespace dip::cuda {

struct alignas(16) Place {
  int offset;  // of the first number
  int h, w;    // position in the image, or displacement
  int a = 0;   // of a shift: where the lines of A have this octet of the depth, if they lie along it
};

// So far outside that adding any shift, or a second `nowhere`, stays outside.
constexpr Place nowhere = {0, -(1 << 29), 0, -1};

// A slice of an operand in shared memory: lines of octets. Within the 128 bytes of all banks octets change their places
// from line to line, so that the same octet of eight neighbouring lines, which one instruction reads, and eight octets
// side by side, which eight threads write, lie in different banks.
template <int lines_, int octets_>
struct Slice {
  static constexpr int lines = lines_, octets = octets_, numbers = lines * octets * octet;
  static constexpr int moving = octets < 8 ? octets : 8, lines_together = 8 / moving;
  static_assert(8 % moving == 0 && octets % moving == 0, "octets change places among a power of two");

  __device__ static int at(int line, int which) {
    return (line * octets + (which ^ line / lines_together % moving)) * octet;
  }
};

// The same as SharedMatrix has it: in columns of eight octets.
template <int lines_, int octets_>
struct MatrixSlice {
  static constexpr int lines = lines_, octets = octets_, numbers = lines * octets * octet;

  __device__ static int at(int line, int which) {
    return ((which / 8 * lines + line) * 8 + (which % 8 ^ line % 8)) * octet;
  }
};

// What a block keeps in shared memory: slices of both operands, and of the places and shifts those of its columns and,
// slice by slice, those of the depth.
template <int rows_, int columns_, int depth_, int stages_, int parts_, class A_, class B_, bool b_across_>
struct TileMemory {
  using A = A_;
  using B = B_;
  static constexpr int rows = rows_, columns = columns_, depth = depth_, stages = stages_, parts = parts_;
  static constexpr bool b_across = b_across_;
  static constexpr int column_places = b_across ? columns / octet : columns,
                       depth_places = b_across ? depth : depth / octet;
  static constexpr int a_numbers = parts * A::numbers, b_numbers = parts * B::numbers;  // of a stage
  // The results pass through the operands' memory, row by row or column by column, so that neighbours are written by
  // neighbouring threads. The padding puts what a warp leaves there at once, of eight rows four pairs of columns, into
  // different banks.
  static constexpr int row_pitch = columns + 8, column_pitch = rows + 4;
  static constexpr int result_bytes = std::max(rows * row_pitch, columns* column_pitch) * 4;
  static constexpr int operand_bytes = std::max(stages * (a_numbers + b_numbers) * 2, result_bytes);
  static constexpr int shared_bytes = operand_bytes +
                                      (column_places + stages * depth_places) * static_cast<int>(sizeof(Place)) +
                                      (columns + stages * depth) * static_cast<int>(sizeof(int));
};

template <template <int, int> class AnySlice, int rows, int depth, bool across>
using SliceOf = std::conditional_t<across, AnySlice<depth, rows / octet>, AnySlice<rows, depth / octet>>;

// Multiplied by mma.sync.
template <int rows_, int columns_, int parts, bool a_across, bool b_across, int depth_ = parts == 1 ? 32 : 16>
struct WarpTile
    : TileMemory<rows_, columns_, depth_, parts == 3 ? 3 : 4, parts, SliceOf<Slice, rows_, depth_, a_across>,
                 SliceOf<Slice, columns_, depth_, b_across>, b_across> {
  static constexpr int warps_down = rows_ / 32 > 2 ? 2 : rows_ / 32, warps_across = columns_ / 32;
  static constexpr int warp_rows = rows_ / warps_down, warp_columns = 32;
  static constexpr int threads = 32 * warps_down * warps_across;
  static constexpr int blocks_a_multiprocessor = (parts == 1 ? 512 : 256) / threads;  // that registers are kept for
  static constexpr bool warpgroups = false;
};

// Multiplied by wgmma: each warpgroup has 64 rows.
template <int rows_, int parts, bool a_across, bool b_across>
struct WarpgroupTile
    : TileMemory<rows_, 128, 64, (rows_ * parts > 256 ? 2 : 3), parts, SliceOf<MatrixSlice, rows_, 64, a_across>,
                 SliceOf<MatrixSlice, 128, 64, b_across>, b_across> {
  static constexpr int threads = 2 * rows_;
  static constexpr int blocks_a_multiprocessor = parts > 1 ? 1 : rows_ == 64 ? 3 : 2;
  static constexpr bool warpgroups = true;
  static constexpr int slices_under_way = 0;
};

// The same of two warpgroups, and a third that has the copy unit bring the operands. The stages fill the memory.
template <int columns_, int parts, bool a_across, bool b_across>
struct MappedTile
    : TileMemory<128, columns_, 64, (parts > 1 ? 5 - parts : 4), parts, SliceOf<MatrixSlice, 128, 64, a_across>,
                 SliceOf<MatrixSlice, columns_, 64, b_across>, b_across> {
  static constexpr int multiplying = 256, threads = multiplying + 128;
  // With several parts sums are taken over from slice to slice.
  static constexpr int slices_under_way = parts > 1 ? 0 : 1;
  static constexpr int shared_bytes = MappedTile::operand_bytes +
                                      2 * MappedTile::stages * static_cast<int>(sizeof(PhaseBarrier)) +
                                      columns_ * static_cast<int>(sizeof(int));
};

}  // namespace dip::cuda
