// The matrix product of packed numbers on tensor cores, behind convolutions and linear layers on the GPU.
//
// result[i, j] = Σ_d A[i, d]·B[d, j], summed in float32. What is multiplied are numbers of 16 bits: float16 and
// bfloat16 as they are, and float32 as a sum of two or three bfloat16 numbers, its planes, of which each has eight more
// of its bits. Or it is float32 rounded to TF32: a number of 32 bits, which counts as two of the depth. An octet, eight
// numbers side by side, is copied to shared memory by one instruction, so both operands are packed beforehand. A is a
// matrix. B is an image whose channels lie side by side, and its matrix is never built: an octet of it is found at
//
//   place + shift,   zeros where that lies outside the image,
//
// the place standing for a position of the result, the shift for a tap and eight channels. Forward, and backward to the
// data, columns are places and the depth runs over shifts; backward to the weights the depth runs over places and
// columns are shifts. So octets of an operand lie along the depth or across it; where across, matrices are transposed
// on their way from shared memory to the tensor cores, which those of TF32 cannot be.
//
// Every sum runs over d in order, in the tensor core of one warp, or of a warpgroup where Hopper's wgmma multiplies: no
// atomics, the same bits on every run.
#pragma once

#include <type_traits>

#include "core/gemm_block.h"
#include "core/gemm_plan.h"
#include "core/half.h"

namespace dip::cuda {

struct alignas(16) Place {
  int offset;  // of the first number
  int h, w;    // position in the image, or displacement
  int a = 0;   // of a shift: where the lines of A have this octet of the depth, if they lie along it
};

// Outside whatever is added to it, or the other such one.
constexpr Place nowhere = {0, -(1 << 29), 0, -1};

// A slice of an operand in shared memory: lines of octets. The padding puts the same octet of eight neighbouring lines,
// which one instruction reads, into different banks.
template <int lines_, int octets_>
struct Slice {
  static constexpr int lines = lines_, octets = octets_, pitch = (octets + 1) * octet, numbers = lines * pitch;

  __device__ static int at(int line, int which) { return line * pitch + which * octet; }
};

// The same as SharedMatrix has it: without padding, in columns of eight octets.
template <int lines_, int octets_>
struct MatrixSlice {
  static constexpr int lines = lines_, octets = octets_, numbers = lines * octets * octet;

  __device__ static int at(int line, int which) {
    return ((which / 8 * lines + line) * 8 + (which % 8 ^ line % 8)) * octet;
  }
};

// float32 as so many bfloat16 numbers. Two planes have 16 bits of a number and three all 24; the products that are left
// out are at most 2^-16 and 2^-24 of the whole.
template <int planes_>
struct SplitFloat {
  using Stored = float;
  using Part = std::uint16_t;
  static constexpr int planes = planes_, products = planes == 2 ? 3 : 6;

  // Which planes of A and B meet, the small ones first.
  __device__ static constexpr int a_plane(int product) {
    constexpr int all[] = {planes - 1, 0, planes - 2, 1, 0, 0};
    return all[product];
  }
  __device__ static constexpr int b_plane(int product) {
    constexpr int all[] = {0, planes - 1, planes - 2, 0, 1, 0};
    return all[product];
  }
  __device__ static void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned* b) {
    multiply_bfloat(d, a, b);
  }
  template <bool a_across, bool b_across>
  __device__ static void multiply_group(WarpgroupSums& d, SharedMatrix a, SharedMatrix b) {
    multiply_group_bfloat<a_across, b_across>(d, a, b);
  }
  __device__ static float round(float x) { return x; }
  __device__ static float widen(float x) { return x; }
  __device__ static void pack(float x, Part (&to)[planes]) {
    constexpr float largest = 3.4028235e38f;
    if (!(fabsf(x) <= largest)) {
      // Infinity times the zero that a plane of another number may be is NaN; in the last plane it meets first ones
      // only.
      for (int plane = 0; plane < planes; ++plane) to[plane] = 0;
      to[0] = Bfloat::round(x < 0.0f ? -1.0f : 1.0f).bits;
      to[planes - 1] = Bfloat::round(x).bits;
      return;
    }
    for (int plane = 0; plane < planes; ++plane) {
      Bfloat part = Bfloat::round(x);
      // The largest numbers would round up to infinity: cut off.
      if (!(fabsf(part.widen()) <= largest)) part.bits = static_cast<std::uint16_t>(__float_as_uint(x) >> 16);
      to[plane] = part.bits;
      x -= part.widen();
    }
  }
  // Back from its planes, which lie `distance` apart.
  __device__ static float unpack(const Part* at, std::int64_t distance) {
    float x = 0.0f;
    for (int plane = planes - 1; plane >= 0; --plane) x += Bfloat{at[plane * distance]}.widen();
    return x;
  }
};

// Multiplied as it is.
struct OnePlane {
  static constexpr int planes = 1, products = 1;

  __device__ static constexpr int a_plane(int) { return 0; }
  __device__ static constexpr int b_plane(int) { return 0; }
};

// Half or Bfloat.
template <class Number>
struct AsStored : OnePlane {
  using Stored = Number;
  using Part = std::uint16_t;

  __device__ static void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned* b) {
    Number::multiply(d, a, b);
  }
  template <bool a_across, bool b_across>
  __device__ static void multiply_group(WarpgroupSums& d, SharedMatrix a, SharedMatrix b) {
    Number::template multiply_group<a_across, b_across>(d, a, b);
  }
  __device__ static Number round(float x) { return Number::round(x); }
  __device__ static float widen(Number x) { return x.widen(); }
  __device__ static void pack(Number x, Part (&to)[1]) { to[0] = x.bits; }
  __device__ static float unpack(const Part* at, std::int64_t) { return Number{*at}.widen(); }
};

// float32 rounded to 11 bits.
struct Tf32 : OnePlane {
  using Stored = float;
  using Part = std::uint32_t;

  __device__ static void multiply(float (&d)[4], const unsigned (&a)[4], const unsigned* b) { multiply_tf32(d, a, b); }
  template <bool a_across, bool b_across>
  __device__ static void multiply_group(WarpgroupSums& d, SharedMatrix a, SharedMatrix b) {
    multiply_group_tf32<a_across, b_across>(d, a, b);
  }
  __device__ static float round(float x) { return x; }
  __device__ static float widen(float x) { return x; }
  __device__ static void pack(float x, Part (&to)[1]) { to[0] = __float_as_uint(round_tf32(x)); }
  __device__ static float unpack(const Part* at, std::int64_t) { return __uint_as_float(*at); }
};

// How many of the 16-bit numbers that the kernel copies one of these is.
template <class Number>
constexpr int width_of = sizeof(typename Number::Part) / 2;

// What a block keeps in shared memory: slices of both operands, and of the places and shifts those of its columns and,
// slice by slice, those of the depth.
template <int rows_, int columns_, int depth_, int stages_, int planes_, class A_, class B_, bool b_across_>
struct TileMemory {
  using A = A_;
  using B = B_;
  static constexpr int rows = rows_, columns = columns_, depth = depth_, stages = stages_, planes = planes_;
  static constexpr bool b_across = b_across_;
  static constexpr int column_places = b_across ? columns / octet : columns,
                       depth_places = b_across ? depth : depth / octet;
  static constexpr int a_numbers = planes * A::numbers, b_numbers = planes * B::numbers;  // of a stage
  static constexpr int operand_bytes = stages * (a_numbers + b_numbers) * 2;
  static constexpr int shared_bytes = operand_bytes +
                                      (column_places + stages * depth_places) * static_cast<int>(sizeof(Place)) +
                                      (columns + stages * depth) * static_cast<int>(sizeof(int));
  // The results pass through the operands' memory, so that neighbours are written by neighbouring threads.
  static constexpr int result_pitch = columns + 4;
  static_assert(rows * result_pitch * 4 <= operand_bytes, "the tile of results has room");
};

template <template <int, int> class AnySlice, int rows, int depth, bool across>
using SliceOf = std::conditional_t<across, AnySlice<depth, rows / octet>, AnySlice<rows, depth / octet>>;

// Multiplied by mma.sync.
template <int rows_, int columns_, int planes, bool a_across, bool b_across, int depth_ = planes == 1 ? 32 : 16>
struct PackedTile
    : TileMemory<rows_, columns_, depth_, planes == 3 ? 3 : 4, planes, SliceOf<Slice, rows_, depth_, a_across>,
                 SliceOf<Slice, columns_, depth_, b_across>, b_across> {
  static constexpr int warps_down = rows_ / 32 > 2 ? 2 : rows_ / 32, warps_across = columns_ / 32;
  static constexpr int warp_rows = rows_ / warps_down, warp_columns = 32;
  static constexpr int threads = 32 * warps_down * warps_across;
  static constexpr int blocks_a_multiprocessor = (planes == 1 ? 512 : 256) / threads;  // that registers are kept for
  static constexpr bool warpgroups = false;
};

// Multiplied by wgmma: each warpgroup has 64 rows.
template <int rows_, int planes, bool a_across, bool b_across>
struct WarpgroupTile
    : TileMemory<rows_, 128, 64, (rows_ * planes > 256 ? 2 : 3), planes, SliceOf<MatrixSlice, rows_, 64, a_across>,
                 SliceOf<MatrixSlice, 128, 64, b_across>, b_across> {
  static constexpr int threads = 2 * rows_;
  static constexpr int blocks_a_multiprocessor = planes > 1 ? 1 : rows_ == 64 ? 3 : 2;
  static constexpr bool warpgroups = true;
  static constexpr int slices_under_way = 0;
};

// The same of two warpgroups, and a third that has the copy unit bring the operands. The stages fill the memory.
template <int columns_, int planes, bool a_across, bool b_across>
struct MappedTile
    : TileMemory<128, columns_, 64, (planes > 1 ? 5 - planes : 4), planes, SliceOf<MatrixSlice, 128, 64, a_across>,
                 SliceOf<MatrixSlice, columns_, 64, b_across>, b_across> {
  static constexpr int multiplying = 256, threads = multiplying + 128;
  // With several planes sums are taken over from slice to slice.
  static constexpr int slices_under_way = planes > 1 ? 0 : 1;
  static constexpr int shared_bytes = MappedTile::operand_bytes +
                                      2 * MappedTile::stages * static_cast<int>(sizeof(PhaseBarrier)) +
                                      columns_ * static_cast<int>(sizeof(int));
};

// The sums of a warp's part of a tile, 16 × 8 blocks, as tensor cores leave them in its lanes.
template <class T>
struct WarpSums {
  static constexpr int blocks_down = T::warp_rows / 16, blocks_across = T::warp_columns / 8;
  float sums[blocks_down][blocks_across][4] = {};

  __device__ static int lane() { return static_cast<int>(threadIdx.x) % 32; }
  __device__ static int first_row() { return static_cast<int>(threadIdx.x) / 32 / T::warps_across * T::warp_rows; }
  __device__ static int first_column() {
    return static_cast<int>(threadIdx.x) / 32 % T::warps_across * T::warp_columns;
  }

  template <class Store>
  __device__ void store(const Store& store) const {
#pragma unroll
    for (int i = 0; i < blocks_down; ++i) {
#pragma unroll
      for (int j = 0; j < blocks_across; ++j) {
#pragma unroll
        for (int part = 0; part < 4; ++part) {
          store(first_row() + lane() / 4 + 16 * i + 8 * (part / 2),
                first_column() + 8 * j + 2 * (lane() % 4) + part % 2, sums[i][j][part]);
        }
      }
    }
  }
};

// Each warp computes a part of the tile from 16 × 8 blocks.
template <class T, class Number, bool a_across, bool b_across>
class PackedProduct : public WarpSums<T> {
 public:
  using WarpSums<T>::blocks_down, WarpSums<T>::blocks_across, WarpSums<T>::sums;
  using WarpSums<T>::lane, WarpSums<T>::first_row, WarpSums<T>::first_column;

  // The row of a matrix whose address load_matrices wants from this lane: of four, two down and two along the depth.
  __device__ static int octet_of_a(int row, int d) {
    return a_across ? (d + lane() % 8 + lane() / 16 * 8) * T::A::pitch + row + lane() / 8 % 2 * 8
                    : (row + lane() % 16) * T::A::pitch + d + lane() / 16 * 8;
  }
  // Of four, two along the depth and two across.
  __device__ static int octet_of_b(int column, int d) {
    return b_across ? (d + lane() % 16) * T::B::pitch + column + lane() / 16 * 8
                    : (column + lane() % 8 + lane() / 16 * 8) * T::B::pitch + d + lane() / 8 % 2 * 8;
  }

  __device__ void add(Shared<std::uint16_t> a, Shared<std::uint16_t> b) {
#pragma unroll
    for (int d = 0; d < T::depth; d += 16) {
      unsigned right[Number::planes][blocks_across / 2][4];
#pragma unroll
      for (int plane = 0; plane < Number::planes; ++plane) {
#pragma unroll
        for (int j = 0; j < blocks_across / 2; ++j) {
          load_matrices<b_across>(b + plane * T::B::numbers + octet_of_b(first_column() + 16 * j, d), right[plane][j]);
        }
      }
#pragma unroll
      for (int i = 0; i < blocks_down; ++i) {
        unsigned left[Number::planes][4];
#pragma unroll
        for (int plane = 0; plane < Number::planes; ++plane) {
          load_matrices<a_across>(a + plane * T::A::numbers + octet_of_a(first_row() + 16 * i, d), left[plane]);
        }
        if constexpr (Number::planes == 1) {
          add_products(sums[i], left, right);
        } else {
          // Tensor cores cut sums off instead of rounding them, always towards zero: in sums of 16 terms that matters
          // less than in one of thousands.
          float part[blocks_across][4] = {};
          add_products(part, left, right);
#pragma unroll
          for (int j = 0; j < blocks_across; ++j) {
#pragma unroll
            for (int k = 0; k < 4; ++k) sums[i][j][k] += part[j][k];
          }
        }
      }
    }
  }

 private:
  __device__ static void add_products(float (&to)[blocks_across][4], const unsigned (&left)[Number::planes][4],
                                      const unsigned (&right)[Number::planes][blocks_across / 2][4]) {
#pragma unroll
    for (int product = 0; product < Number::products; ++product) {
#pragma unroll
      for (int j = 0; j < blocks_across; ++j) {
        Number::multiply(to[j], left[Number::a_plane(product)], right[Number::b_plane(product)][j / 2] + 2 * (j % 2));
      }
    }
  }
};

// Each warpgroup computes 64 rows of the tile, 128 columns at a time.
template <class T, class Number, bool a_across, bool b_across>
class WarpgroupProduct {
 public:
  // With several planes all is done when it returns, else the products of this slice may be under way.
  __device__ void add(Shared<std::uint16_t> a, Shared<std::uint16_t> b) {
    if constexpr (Number::planes == 1) {
      start_products(sums_, a, b);
      wait<T::slices_under_way>(sums_);
    } else {
      // As warps have it, in sums of 64 terms.
      WarpgroupSums part[parts] = {};
      start_products(part, a, b);
      wait<0>(part);
#pragma unroll
      for (int half = 0; half < parts; ++half) {
#pragma unroll
        for (int j = 0; j < 16; ++j) {
#pragma unroll
          for (int k = 0; k < 4; ++k) sums_[half][j][k] += part[half][j][k];
        }
      }
    }
  }

  __device__ void finish() { wait<0>(sums_); }

  template <class Store>
  __device__ void store(const Store& store) const {
    const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
#pragma unroll
    for (int half = 0; half < parts; ++half) {
#pragma unroll
      for (int j = 0; j < 16; ++j) {
#pragma unroll
        for (int part = 0; part < 4; ++part) {
          store(thread / 32 * 16 + lane / 4 + 8 * (part / 2), 128 * half + 8 * j + 2 * (lane % 4) + part % 2,
                sums_[half][j][part]);
        }
      }
    }
  }

 private:
  static constexpr int parts = T::columns / 128;
  WarpgroupSums sums_[parts] = {};

  template <int pending>
  __device__ static void wait(WarpgroupSums (&sums)[parts]) {
#pragma unroll
    for (int part = 0; part < parts; ++part) wait_for_products<pending>(sums[part]);
  }

  __device__ static void start_products(WarpgroupSums (&to)[parts], Shared<std::uint16_t> a, Shared<std::uint16_t> b) {
    constexpr int line = 64, leading = T::depth * line * 2, stride = 8 * line * 2;
    const Shared<std::uint16_t> rows = a + static_cast<int>(threadIdx.x) / 128 * 64 * line;
#pragma unroll
    for (int part = 0; part < parts; ++part) begin_products(to[part]);
#pragma unroll
    for (int product = 0; product < Number::products; ++product) {
#pragma unroll
      for (int d = 0; d < T::depth; d += 16) {
        const int left = Number::a_plane(product) * T::A::numbers + (a_across ? d * line : d);
        const int right = Number::b_plane(product) * T::B::numbers + (b_across ? d * line : d);
#pragma unroll
        for (int part = 0; part < parts; ++part) {
          Number::template multiply_group<a_across, b_across>(
              to[part], shared_matrix(rows + left, leading, stride),
              shared_matrix(b + right + part * 128 * line, leading, stride));
        }
      }
    }
    commit_products();
  }
};

// Result (i, j) once more, without what lies outside the image: a zero there may have met an infinity or NaN. The
// problem is passed by value, so that for this rare case it need not lie in memory.
template <class Problem, class Number>
__device__ DIP_RARE float sum_of_what_meets(Problem problem, int i, int j, int begin, int end) {
  const auto octet_of = [](int number) { return number / octet * octet; };
  const auto beside = [](Place place, int number) {
    place.offset += number % octet;
    place.a += number % octet;
    return place;
  };
  float sum = 0.0f;
  for (int d = begin; d < end && sum == sum; d += width_of<Number>) {
    const Place place = problem.place_at(Problem::b_across ? d : j);
    const int number = Problem::b_across ? j : d;
    const Place shift = beside(problem.shift_at(octet_of(number)), number);
    const int line = problem.a_at(Problem::a_across ? d : i);
    const bool inside = static_cast<unsigned>(place.h + shift.h) < static_cast<unsigned>(problem.height) &&
                        static_cast<unsigned>(place.w + shift.w) < static_cast<unsigned>(problem.width);
    if (!inside || line < 0 || !problem.meets(place, number, width_of<Number>)) continue;
    using Part = typename Number::Part;
    const auto* a = reinterpret_cast<const Part*>(problem.a + (line + (Problem::a_across ? i : shift.a)));
    const auto* b = reinterpret_cast<const Part*>(problem.b + (place.offset + shift.offset));
    sum = fmaf(Number::unpack(a, problem.a_plane), Number::unpack(b, problem.b_plane), sum);
  }
  return sum;
}

// So many threads write the results, which lie in shared memory.
template <class Number, class T, int threads, class Problem>
__device__ void store_tile(const Problem& problem, const GemmBlock<T>& block, Shared<float> tile, Shared<int> outs) {
#pragma unroll 4
  for (int step = 0; step < T::rows * T::columns / threads; ++step) {
    const int e = step * threads + static_cast<int>(threadIdx.x);
    const int i = problem.rows_side_by_side ? e % T::rows : e / T::columns;
    const int j = problem.rows_side_by_side ? e / T::rows : e % T::columns;
    if (block.first_row + i < problem.rows && block.first_column + j < problem.columns) {
      float sum = tile[i * T::result_pitch + j];
      if (sum != sum) {
        sum = sum_of_what_meets<Problem, Number>(problem, block.first_row + i, block.first_column + j, block.begin,
                                                 block.end);
      }
      problem.store(block.first_row + i, outs[j], sum);
    }
  }
}

// A Problem has
//   static constexpr bool a_across, b_across  whether octets lie across the depth
//   int rows, columns, depth, height, width;  const std::uint16_t *a, *b;
//   std::int64_t a_plane, b_plane          the distances of the planes
//   bool rows_side_by_side                 whether neighbouring rows are neighbours in memory, or columns
//   void begin(int batch, int split)       moves the pointers
//   int a_at(int line)                     the offset of row `line` of A, or across of depth `line`; −1: zeros
//   Place place_at(int position)  Place shift_at(int first)
//   bool meets(Place place, int number, int width)  whether a number of that width of a shift is of the image, and not
//                                          a zero put beside it
//   int out_at(int j)                      what column j adds to the address of a result
//   void store(int i, int out, float sum)
// Numbers behind the last one, up to a whole octet, are zeros in A and B; along the depth they are part of it.
template <class Problem, class Number, class T>
__device__ void multiply_packed(Problem problem, int batches, int split_depth) {
  using A = typename T::A;
  using B = typename T::B;
  const Shared<std::uint16_t> a_slices = dynamic_shared<std::uint16_t>(),
                              b_slices = a_slices + T::stages * T::a_numbers;
  const Shared<Place> column_places = shared_cast<Place>(b_slices + T::stages * T::b_numbers);
  const Shared<Place> depth_places = column_places + T::column_places;
  const Shared<int> outs = shared_cast<int>(depth_places + T::stages * T::depth_places);
  const Shared<int> depth_lines = outs + T::columns;

  const int thread = static_cast<int>(threadIdx.x);
  const GemmBlock<T> block(batches, problem.depth, split_depth);
  const int first_row = block.first_row, first_column = block.first_column;
  problem.begin(block.batch, block.split);

  // What the depth of a slice brings with it; each of the threads up to its depth sets a part.
  const auto set_depth = [&](int slice, int at) {
    if (at < T::depth_places) {
      const int d = block.begin + slice * T::depth + (Problem::b_across ? at : at * octet);
      depth_places[slice % T::stages * T::depth_places + at] = d >= block.end      ? nowhere
                                                               : Problem::b_across ? problem.place_at(d)
                                                                                   : problem.shift_at(d);
    }
    if (Problem::a_across) {
      const int d = block.begin + slice * T::depth + at;
      depth_lines[slice % T::stages * T::depth + at] = d < block.end ? problem.a_at(d) : -1;
    }
  };
  for (int at = thread; at < T::stages * T::depth; at += T::threads) set_depth(at / T::depth, at % T::depth);
  for (int at = thread; at < T::column_places; at += T::threads) {
    const int j = first_column + (Problem::b_across ? at * octet : at);
    column_places[at] = j >= problem.columns ? nowhere : Problem::b_across ? problem.shift_at(j) : problem.place_at(j);
  }
  for (int j = thread; j < T::columns; j += T::threads) {
    if (first_column + j < problem.columns) outs[j] = problem.out_at(first_column + j);
  }
  __syncthreads();

  // Of the lines a thread copies the same octet of every `step`-th: what it knows of them it keeps.
  static_assert(T::threads % A::octets == 0 && T::threads % B::octets == 0, "an octet is a thread's");
  constexpr int a_step = T::threads / A::octets, b_step = T::threads / B::octets;
  constexpr int a_steps = (A::lines + a_step - 1) / a_step, b_steps = B::lines / b_step;
  static_assert(B::lines % b_step == 0, "all threads copy as many octets of B");
  const int a_line = thread / A::octets, a_octet = thread % A::octets;
  const int b_line = thread / B::octets, b_octet = thread % B::octets;
  int a_from[Problem::a_across ? 1 : a_steps];
#pragma unroll
  for (int step = 0; !Problem::a_across && step < a_steps; ++step) {
    const int i = first_row + a_line + step * a_step;
    a_from[step] = i < problem.rows ? problem.a_at(i) : -1;
  }
  Place columns[Problem::b_across ? 1 : b_steps];
#pragma unroll
  for (int step = 0; step < (Problem::b_across ? 1 : b_steps); ++step) {
    columns[step] = column_places[Problem::b_across ? b_octet : b_line + step * b_step];
  }

  const auto load = [&](int slice) {
    const int stage = slice % T::stages;
    const Shared<std::uint16_t> a_slice = a_slices + stage * T::a_numbers, b_slice = b_slices + stage * T::b_numbers;
    const Shared<Place> slice_places = depth_places + stage * T::depth_places;
    const Shared<int> slice_lines = depth_lines + stage * T::depth;
    const int along = Problem::a_across ? first_row + a_octet * octet : Place(slice_places[a_octet]).a;
    const bool inside = Problem::a_across ? along < problem.rows : along >= 0;
#pragma unroll
    for (int step = 0; step < a_steps; ++step) {
      const int line = a_line + step * a_step;
      if (A::lines % a_step != 0 && line >= A::lines) break;
      const int from = Problem::a_across ? slice_lines[line] : a_from[step];
      const bool valid = inside && from >= 0;
      const unsigned offset = valid ? from + along : 0;  // not negative: a sign would cost instructions
#pragma unroll
      for (int plane = 0; plane < Number::planes; ++plane) {
        copy_octet_async(a_slice + plane * A::numbers + A::at(line, a_octet),
                         problem.a + plane * problem.a_plane + offset, valid);
      }
    }
    const Place shift = Problem::b_across ? columns[0] : slice_places[b_octet];
#pragma unroll
    for (int step = 0; step < b_steps; ++step) {
      const int line = b_line + step * b_step;
      const Place place = Problem::b_across ? slice_places[line] : columns[step];
      const bool valid = static_cast<unsigned>(place.h + shift.h) < static_cast<unsigned>(problem.height) &&
                         static_cast<unsigned>(place.w + shift.w) < static_cast<unsigned>(problem.width);
      const unsigned offset = valid ? place.offset + shift.offset : 0;
#pragma unroll
      for (int plane = 0; plane < Number::planes; ++plane) {
        copy_octet_async(b_slice + plane * B::numbers + B::at(line, b_octet),
                         problem.b + plane * problem.b_plane + offset, valid);
      }
    }
  };

  std::conditional_t<T::warpgroups, WarpgroupProduct<T, Number, Problem::a_across, Problem::b_across>,
                     PackedProduct<T, Number, Problem::a_across, Problem::b_across>>
      product;
  run_pipeline<T>(block.slices, load, set_depth, [&](int slice) {
    product.add(a_slices + slice % T::stages * T::a_numbers, b_slices + slice % T::stages * T::b_numbers);
  });
  copy_async_wait<0>();
  __syncthreads();  // all are done with the operands
  const Shared<float> tile = shared_cast<float>(a_slices);
  product.store([&](int i, int j, float sum) { tile[i * T::result_pitch + j] = sum; });
  __syncthreads();
  store_tile<Number, T, T::threads>(problem, block, tile, outs);
}

// The same where a map of each operand lets the copy unit bring its slices. One thread asks for them, as many ahead as
// there are stages; the first two warpgroups multiply. A Problem has besides
//   TensorMap map_a<T>()  map_b<T>()
//   void copy_a<T>(to, map, barrier, int plane, int d, int i)  starts to copy the slice from depth d and row i on
//   void copy_b<T>(to, map, barrier, int plane, int d, int j)  the same from column j
template <class Problem, class Number, class T>
__device__ void multiply_mapped(Problem problem, const TensorMap& a_map, const TensorMap& b_map, int batches,
                                int split_depth) {
  const Shared<std::uint16_t> a_slices = dynamic_shared<std::uint16_t>(),
                              b_slices = a_slices + T::stages * T::a_numbers;
  const Shared<PhaseBarrier> come = shared_cast<PhaseBarrier>(b_slices + T::stages * T::b_numbers),
                             done = come + T::stages;
  const Shared<int> outs = shared_cast<int>(done + T::stages);

  const int thread = static_cast<int>(threadIdx.x);
  const GemmBlock<T> block(batches, problem.depth, split_depth);
  problem.begin(block.batch, block.split);
  if (thread == 0) {
    for (int stage = 0; stage < T::stages; ++stage) {
      set_up(come + stage, 1);
      set_up(done + stage, T::multiplying / 32);
    }
    fence_phase_barriers();
  }
  __syncthreads();

  if (thread >= T::multiplying) {
    give_registers_back<40>();
    if (thread > T::multiplying) return;
    for (int slice = 0; slice < block.slices; ++slice) {
      const int stage = slice % T::stages, d = block.begin + slice * T::depth;
      wait_for_phase(done + stage, slice / T::stages % 2 ^ 1);
      arrive_and_expect(come + stage, (T::a_numbers + T::b_numbers) * 2);
      for (int plane = 0; plane < Number::planes; ++plane) {
        problem.template copy_a<T>(a_slices + stage * T::a_numbers + plane * T::A::numbers, a_map, come + stage, plane,
                                   d, block.first_row);
        problem.template copy_b<T>(b_slices + stage * T::b_numbers + plane * T::B::numbers, b_map, come + stage, plane,
                                   d, block.first_column);
      }
    }
    return;
  }

  take_registers<232>();
  for (int j = thread; j < T::columns; j += T::multiplying) {
    if (block.first_column + j < problem.columns) outs[j] = problem.out_at(block.first_column + j);
  }
  WarpgroupProduct<T, Number, Problem::a_across, Problem::b_across> product;
  for (int slice = 0; slice < block.slices; ++slice) {
    const int stage = slice % T::stages;
    wait_for_phase(come + stage, slice / T::stages % 2);
    product.add(a_slices + stage * T::a_numbers, b_slices + stage * T::b_numbers);
    const int finished = slice - T::slices_under_way;
    if (finished >= 0 && thread % 32 == 0) arrive(done + finished % T::stages);
  }
  product.finish();
  barrier_of<T::multiplying>();  // all are done with the operands
  const Shared<float> tile = shared_cast<float>(a_slices);
  product.store([&](int i, int j, float sum) { tile[i * T::result_pitch + j] = sum; });
  barrier_of<T::multiplying>();
  store_tile<Number, T, T::multiplying>(problem, block, tile, outs);
}

// Tiles of warpgroups are compiled for the one architecture that has them.
template <class Problem, class Number, class T>
__global__ void __launch_bounds__(T::threads, T::blocks_a_multiprocessor)
    packed_gemm_kernel(Problem problem, int batches, int split_depth) {
  if constexpr (!T::warpgroups || compiled_for_warpgroups) {
    multiply_packed<Problem, Number, T>(problem, batches, split_depth);
  }
}
template <class Problem, class Number, class T>
__global__ void __launch_bounds__(T::threads, 1)
    mapped_gemm_kernel(Problem problem, const __grid_constant__ TensorMap a_map,
                       const __grid_constant__ TensorMap b_map, int batches, int split_depth) {
  if constexpr (compiled_for_warpgroups) {
    multiply_mapped<Problem, Number, T>(problem, a_map, b_map, batches, split_depth);
  }
}

template <class T, class Problem, class Number>
void launch_packed_tile(const Problem& problem, int batches, const GemmPlan& plan) {
  launch(packed_gemm_kernel<Problem, Number, T>, grid_of<T>(problem, batches, plan), T::threads,
         std::size_t{T::shared_bytes}, problem, batches, plan.split_depth);
}

template <class T, class Problem, class Number>
void launch_mapped_tile(const Problem& problem, int batches, const GemmPlan& plan) {
  launch(mapped_gemm_kernel<Problem, Number, T>, grid_of<T>(problem, batches, plan), T::threads,
         std::size_t{T::shared_bytes}, problem, problem.template map_a<T>(), problem.template map_b<T>(), batches,
         plan.split_depth);
}

// Computes all batches of a problem. With several splits each writes its part of the sums where problem.begin put it.
template <class Number, class Problem>
void packed_gemm(const Problem& problem, int batches, const GemmPlan& plan) {
  constexpr bool a = Problem::a_across, b = Problem::b_across;
  constexpr int planes = Number::planes;
  using Large = PackedTile<128, 128, planes, a, b>;
  if (problem.rows == 0 || problem.columns == 0 || batches == 0) return;
  // Of GPUs for graphics not all have the shared memory that the largest tile takes with three planes.
  const bool fits = plan.tile != GemmTile::large || Large::shared_bytes <= shared_bytes_a_block();
  switch (fits ? plan.tile : GemmTile::small) {
    case GemmTile::large: return launch_packed_tile<Large, Problem, Number>(problem, batches, plan);
    case GemmTile::wide:
      return launch_packed_tile<PackedTile<32, 128, planes, a, b>, Problem, Number>(problem, batches, plan);
    case GemmTile::small:
      return launch_packed_tile<PackedTile<64, 64, planes, a, b>, Problem, Number>(problem, batches, plan);
    case GemmTile::warpgroups:
      return launch_packed_tile<WarpgroupTile<128, planes, a, b>, Problem, Number>(problem, batches, plan);
    case GemmTile::warpgroup:
      return launch_packed_tile<WarpgroupTile<64, planes, a, b>, Problem, Number>(problem, batches, plan);
    case GemmTile::mapped:
      return launch_mapped_tile<MappedTile<128, planes, a, b>, Problem, Number>(problem, batches, plan);
    case GemmTile::mapped_wide:
      // There are no registers for two sets of as many sums.
      if constexpr (planes == 1) launch_mapped_tile<MappedTile<256, 1, a, b>, Problem, Number>(problem, batches, plan);
  }
}

}  // namespace dip::cuda
