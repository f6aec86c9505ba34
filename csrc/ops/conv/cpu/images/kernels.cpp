// Convolution with the images of the batch as the vector, compiled once for each instruction set.
#include "ops/conv/cpu/images/kernels.h"

#include <utility>

#include "cpu/gemm/lane_tiles.h"

namespace dip::cpu::DIP_ISA {
namespace {

// A tile of R × Q sums, Q loaded vectors and a broadcast fill the registers.
constexpr int image_registers = W == 16 ? 32 : 16, image_rows = W == 16 ? 8 : 6;

constexpr int image_columns(int rows) {
  const int most = (image_registers - 1) / (rows + 1);
  return most < 8 ? most : 8;
}

// v[i][lane] = from[lane·image + i] for the first `some` of i, zeros in the lanes beyond `images`.
inline void load_images(const float* from, std::int64_t image, std::int64_t images, std::int64_t some, F (&v)[W]) {
#pragma GCC unroll 16
  for (int lane = 0; lane < W; ++lane) v[lane] = lane < images ? load_some(from + lane * image, some) : F{};
  transpose_square(v);
}

// to[i][lane] = from[lane·image + i], zeros in the lanes beyond `images`.
void interleave(const float* from, std::int64_t image, std::int64_t images, std::int64_t count, float* to) {
  for (std::int64_t i = 0; i < count; i += W) {
    const std::int64_t some = lanes_at(i, count);
    F v[W];
    load_images(from + i, image, images, some, v);
#pragma GCC unroll 16
    for (int j = 0; j < W; ++j) {
      if (j < some) store(to + (i + j) * W, v[j]);
    }
  }
}

// to[lane·image + i] = v[i][lane] for the first `some` of i.
inline void store_images(F (&v)[W], std::int64_t some, float* to, std::int64_t image, std::int64_t images) {
  transpose_square(v);
#pragma GCC unroll 16
  for (int lane = 0; lane < W; ++lane) {
    if (lane < images) store_some(to + lane * image, v[lane], some);
  }
}

// Row m of the product's results: to[lane·image + i] = activation(from[i][lane] + bias).
void finish_images(const ImageProduct& p, std::int64_t m, const float* from, std::int64_t begin, std::int64_t count) {
  const F bias = broadcast(p.bias ? p.bias[m] : 0.0f);
  float* to = p.out + m * p.out_plane + begin * p.grid_w;
  for (std::int64_t i = 0; i < count; i += W) {
    const std::int64_t some = lanes_at(i, count);
    F v[W];
#pragma GCC unroll 16
    for (int j = 0; j < W; ++j) v[j] = j < some ? load(from + (i + j) * W) + bias : F{};
    if (p.activation.kind != Activation::none) {
      for (int j = 0; j < W; ++j) v[j] = activate(v[j], p.activation.kind, p.activation.alpha);
    }
    store_images(v, some, to + i, p.out_image, p.images);
  }
}

// The maximum of a window of vectors and its position, by the rules of max_pool2d: the first one, or the first NaN.
template <class Value>
inline void largest_of(std::int64_t first, std::int64_t height, std::int64_t width, std::int64_t line,
                       const Value& value, F& best, I& at) {
  best = value(first);
  at = broadcast(static_cast<std::int32_t>(first));
  F sum = best;
  for (std::int64_t r = 0; r < height; ++r) {
    for (std::int64_t s = 0; s < width; ++s) {
      const std::int64_t position = first + r * line + s;
      const F other = value(position);
      at = other > best ? broadcast(static_cast<std::int32_t>(position)) : at;
      best = other > best ? other : best;
      sum += other;
    }
  }
  if (!any(sum != sum)) return;
  // There is a NaN, or there are infinities of both signs.
  best = value(first);
  at = broadcast(static_cast<std::int32_t>(first));
  for (std::int64_t r = 0; r < height; ++r) {
    for (std::int64_t s = 0; s < width; ++s) {
      const std::int64_t position = first + r * line + s;
      const F other = value(position);
      const I better = ~(I)(other <= best) & (I)(best == best);
      best = better ? other : best;
      at = better ? broadcast(static_cast<std::int32_t>(position)) : at;
    }
  }
}

// The same, and of every window the maximum and where it stands. `value` says what has become of a result.
template <class Value>
void finish_windows(const ImageProduct& p, std::int64_t m, std::int64_t begin, std::int64_t lines, const Value& value) {
  const std::int64_t columns = p.grid_w / p.pool_w, count = lines / p.pool_h * columns;
  const std::int64_t to = m * p.out_plane + begin / p.pool_h * columns;
  std::int64_t window = 0, column = 0;  // the first position of the next window, and its column among the windows
  for (std::int64_t i = 0; i < count; i += W) {
    const std::int64_t some = lanes_at(i, count);
    F largest[W], positions[W];
    for (int j = 0; j < W; ++j) {
      largest[j] = positions[j] = F{};
      if (j >= some) continue;
      I at;
      if (p.pool_h == 2 && p.pool_w == 2) {
        largest_of(window, 2, 2, p.grid_w, value, largest[j], at);
      } else {
        largest_of(window, p.pool_h, p.pool_w, p.grid_w, value, largest[j], at);
      }
      positions[j] = (F)(at + static_cast<std::int32_t>(begin * p.grid_w));
      window += p.pool_w;
      if (++column == columns) {
        column = 0;
        window += p.grid_w * p.pool_h - columns * p.pool_w;
      }
    }
    store_images(largest, some, p.out + to + i, p.out_image, p.images);
    store_images(positions, some, reinterpret_cast<float*>(p.indices) + to + i, p.out_image, p.images);
  }
}

void finish_windows(const ImageProduct& p, std::int64_t m, const float* from, std::int64_t begin, std::int64_t lines) {
  const F bias = broadcast(p.bias ? p.bias[m] : 0.0f);
  const auto sum = [&](std::int64_t position) { return load(from + position * W) + bias; };
  if (p.activation.kind == Activation::none) return finish_windows(p, m, begin, lines, sum);
  if (p.activation.kind == Activation::relu) {
    return finish_windows(p, m, begin, lines,
                          [&](std::int64_t position) { return activate(sum(position), Activation::relu, 0.0f); });
  }
  finish_windows(p, m, begin, lines,
                 [&](std::int64_t position) { return activate(sum(position), p.activation.kind, p.activation.alpha); });
}

// The gradient of max pooling: dy to where the maxima stood, zeros elsewhere in the windows. False where an index lies
// outside its window, which this way of pooling cannot serve.
bool unpool_images(const ImageUnpooling& p) {
  I lost = I{};
  F sum = F{};
  std::int64_t window = 0, column = 0;
  float* to = p.to;  // where the next window begins
  for (std::int64_t i = 0; i < p.windows_h * p.windows_w; i += W) {
    const std::int64_t some = lanes_at(i, p.windows_h * p.windows_w);
    F dy[W], index[W];
    load_images(p.dy + i, p.image, p.images, some, dy);
    load_images(reinterpret_cast<const float*>(p.indices) + i, p.image, p.images, some, index);
    for (int j = 0; j < some; ++j) {
      sum += dy[j];
      I left = I{} - 1;  // lanes whose index has not been met
      for (std::int64_t r = 0; r < p.pool_h; ++r) {
        for (std::int64_t s = 0; s < p.pool_w; ++s) {
          const I here = (I)index[j] == broadcast(static_cast<std::int32_t>(window + r * p.grid_w + s));
          store(to + r * p.to_line + s * W, select(here, dy[j], F{}));
          left &= ~here;
        }
      }
      lost |= left;
      window += p.pool_w;
      to += p.pool_w * W;
      if (++column == p.windows_w) {
        column = 0;
        window += p.grid_w * p.pool_h - p.windows_w * p.pool_w;
        to += p.pool_h * p.to_line - p.windows_w * p.pool_w * W;
      }
    }
  }
  store(p.sum, load(p.sum) + sum);
  for (int lane = 0; lane < W; ++lane) {
    if (lane < p.images && lost[lane]) return false;
  }
  return true;
}

// What a tile of the product reads: its depth is three loops of `count`, the outer two of which move on by `step`.
struct ImageOperands {
  const float* weights;  // [depth][R]
  const float* source;
  const std::int64_t* offset;
  std::int64_t count[3], step[2];
  std::int64_t column;  // distance of the columns in `source`
  bool accumulate;
};

// sums[i][j] (+)= Σ_k weights[k][i] · source[offset[k] + column j], rows of sums sums_row apart.
template <int R, int Q>
void image_tile(const ImageOperands& p, float* sums, std::int64_t sums_row) {
  F sum[R][Q];
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < Q; ++j) sum[i][j] = p.accumulate ? load(sums + i * sums_row + j * W) : F{};
  }
  for (std::int64_t k0 = 0, a = 0; a < p.count[0]; ++a, k0 += p.step[0]) {
    for (std::int64_t k1 = k0, b = 0; b < p.count[1]; ++b, k1 += p.step[1]) {
      const float* weights = p.weights + k1 * R;
      const std::int64_t* offset = p.offset + k1;
      for (const std::int64_t* end = offset + p.count[2]; offset < end; ++offset, weights += R) {
        F right[Q];
#pragma GCC unroll 8
        for (int j = 0; j < Q; ++j) right[j] = load(p.source + *offset + j * p.column);
#pragma GCC unroll 8
        for (int i = 0; i < R; ++i) {
          const F left = broadcast(weights[i]);
#pragma GCC unroll 8
          for (int j = 0; j < Q; ++j) sum[i][j] = fma(left, right[j], sum[i][j]);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < Q; ++j) store(sums + i * sums_row + j * W, sum[i][j]);
  }
}

// sums[i][t] (+)= Σ_positions left[i][position] · right[tap[t] + position], lane by lane; rows of sums `depth` apart.
template <int R, int T>
void image_gradient_tile(const ImageGradient& p, std::int64_t row, std::int64_t first_tap) {
  F sum[R][T];
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) sum[i][t] = F{};
  }
  const float* right[T];
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) right[t] = p.right + p.tap[first_tap + t];
  const float* first_left = p.left + row * p.left_plane;
  for (std::int64_t q = 0; q < p.positions; ++q) {
    const float* left = first_left + p.left_offset[q];
    const std::int64_t at = p.right_offset[q];
    F b[T];
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) b[t] = load(right[t] + at);
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) {
      F a = load(left + i * p.left_plane);
      hold(a);
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) sum[i][t] = fma(a, b[t], sum[i][t]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
      float* total = p.sums + ((row + i) * p.depth + first_tap + t) * W;
      store(total, p.accumulate ? load(total) + sum[i][t] : sum[i][t]);
    }
  }
}

using ImageTile = void (*)(const ImageOperands&, float*, std::int64_t);
using ImageGradientTile = void (*)(const ImageGradient&, std::int64_t, std::int64_t);

struct ImageTiles {
  ImageTile product[8];
  ImageGradientTile gradient[8];
};

template <int R, int... Q>
constexpr ImageTiles image_tiles_of(std::integer_sequence<int, Q...>) {
  constexpr int most = image_columns(R);
  return {{image_tile<R, (Q < most ? Q + 1 : most)>...}, {image_gradient_tile<R, (Q < most ? Q + 1 : most)>...}};
}

template <int... R>
const ImageTiles& image_tiles(std::int64_t rows, std::integer_sequence<int, R...>) {
  static constexpr ImageTiles tiles[] = {image_tiles_of<R + 1>(std::make_integer_sequence<int, 8>())...};
  return tiles[rows - 1];
}

const ImageTiles& image_tiles(std::int64_t rows) {
  return image_tiles(rows, std::make_integer_sequence<int, image_rows>());
}

// Piece i of `count` in `pieces` nearly equal ones begins here.
std::int64_t piece_begin(std::int64_t i, std::int64_t count, std::int64_t pieces) {
  return i * count / pieces;
}

// The taps that any of these columns meets.
TapRange union_of(const TapRange* taps, std::int64_t columns) {
  TapRange all = taps[0];
  for (std::int64_t q = 1; q < columns; ++q) {
    if (taps[q].first < all.first) all.first = taps[q].first;
    if (taps[q].last > all.last) all.last = taps[q].last;
  }
  return all;
}

// The sums of some rows, [row][i, j], for the lines [begin, end).
void image_sums(const ImageProduct& p, std::int64_t m, std::int64_t rows, std::int64_t begin, std::int64_t end,
                float* sums) {
  const std::int64_t taps = p.tap_rows * p.tap_columns, sums_row = (end - begin) * p.grid_w * W;
  for (std::int64_t piece = 0; piece < p.tiling.column_pieces; ++piece) {
    const std::int64_t j = piece_begin(piece, p.grid_w, p.tiling.column_pieces);
    const std::int64_t columns = piece_begin(piece + 1, p.grid_w, p.tiling.column_pieces) - j;
    const TapRange s = union_of(p.column_taps + j, columns);
    const ImageTile tile = image_tiles(rows).product[columns - 1];
    for (std::int64_t c = 0; c < p.channels; c += p.channels_at_once) {
      const std::int64_t channels = p.channels - c < p.channels_at_once ? p.channels - c : p.channels_at_once;
      for (std::int64_t i = begin; i < end; ++i) {
        const TapRange r = p.row_taps[i];
        const std::int64_t first = c * taps + r.first * p.tap_columns + s.first;
        ImageOperands operands{p.packed + m * p.channels * taps + first * rows,
                               p.source + (i - p.source_begin) * p.source_row + j * p.source_column,
                               p.offset + first,
                               {channels, r.last - r.first, s.last - s.first},
                               {taps, p.tap_columns},
                               p.source_column,
                               c > 0};
        // Loops without a gap between their steps are one.
        if (operands.count[2] == p.tap_columns) {
          operands.count[2] *= operands.count[1];
          operands.count[1] = 1;
          if (operands.count[2] == taps) {
            operands.count[2] *= channels;
            operands.count[0] = 1;
          }
        }
        tile(operands, sums + ((i - begin) * p.grid_w + j) * W, sums_row);
      }
    }
  }
}

void image_product(const ImageProduct& p, std::int64_t grid_begin, std::int64_t grid_end, float* sums) {
  for (std::int64_t begin = grid_begin, end; begin < grid_end; begin = end) {
    end = grid_end - begin < p.sums_rows ? grid_end : begin + p.sums_rows;
    const std::int64_t count = (end - begin) * p.grid_w;
    for (std::int64_t part = 0; part < p.tiling.row_pieces; ++part) {
      const std::int64_t m = piece_begin(part, p.rows, p.tiling.row_pieces);
      const std::int64_t rows = piece_begin(part + 1, p.rows, p.tiling.row_pieces) - m;
      image_sums(p, m, rows, begin, end, sums);
      for (std::int64_t row = 0; row < rows; ++row) {
        if (p.indices) {
          finish_windows(p, m + row, sums + row * count * W, begin, end - begin);
        } else {
          finish_images(p, m + row, sums + row * count * W, begin, count);
        }
      }
    }
  }
}

void image_gradient(const ImageGradient& p) {
  for (std::int64_t part = 0; part < p.tiling.row_pieces; ++part) {
    const std::int64_t m = piece_begin(part, p.rows, p.tiling.row_pieces);
    const ImageTiles& tiles = image_tiles(piece_begin(part + 1, p.rows, p.tiling.row_pieces) - m);
    for (std::int64_t piece = 0; piece < p.tiling.column_pieces; ++piece) {
      const std::int64_t tap = piece_begin(piece, p.depth, p.tiling.column_pieces);
      tiles.gradient[piece_begin(piece + 1, p.depth, p.tiling.column_pieces) - tap - 1](p, m, tap);
    }
  }
}

// out[i] = Σ_lanes vectors[i][lane]
void sum_lanes(const float* vectors, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; i += W) {
    const std::int64_t some = lanes_at(i, count);
    F v[W];
#pragma GCC unroll 16
    for (int j = 0; j < W; ++j) v[j] = j < some ? load(vectors + (i + j) * W) : F{};
    transpose_square(v);
#pragma GCC unroll 4
    for (int half = W / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
      for (int lane = 0; lane < half; ++lane) v[lane] += v[lane + half];
    }
    store_some(out + i, v[0], some);
  }
}

}  // namespace

extern const ImageKernels image_kernels = {
    .most_rows = image_rows,
    .columns = image_columns,
    .interleave = interleave,
    .product = image_product,
    .unpool_images = unpool_images,
    .gradient = image_gradient,
    .sum_lanes = sum_lanes,
};

}  // namespace dip::cpu::DIP_ISA
