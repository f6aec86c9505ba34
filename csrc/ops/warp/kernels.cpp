// Warping on the CPU, compiled once for each instruction set. Places are worked out for a vector of results at a time;
// then each result reads its own block, in bicubic interpolation a row of four elements as one vector.
#include "ops/warp/kernels.h"

#include "cpu/simd.h"

namespace dip::cpu::DIP_ISA {
namespace {

typedef float Four __attribute__((vector_size(16)));

inline Four load_four(const float* p) {
  Four v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
inline void store_four(float* p, Four v) {
  __builtin_memcpy(p, &v, sizeof v);
}
inline float sum_of_four(Four v) {
  return (v[0] + v[2]) + (v[1] + v[3]);
}

// A vector of what step_of says of one.
struct Steps {
  I whole;
  F rest;
};

inline Steps steps_of(F flow) {
  const F far = broadcast(1e9f), above = select(flow > -far, flow, -far), near = select(above < far, above, far);
  I whole = __builtin_convertvector(near, I);  // towards zero
  whole += __builtin_convertvector(whole, F) > near;
  return {whole, near - __builtin_convertvector(whole, F)};
}

// What a place `rest` behind an element takes of its taps, and the derivatives: Keys's polynomials of cubic_weight and
// cubic_slope, by powers of `rest`.
template <int taps>
inline void store_weights(float rest, float* weights, float* slopes) {
  if constexpr (taps == 1) {
    weights[0] = 1.0f;
    if (slopes) slopes[0] = 0.0f;
  } else if constexpr (taps == 2) {
    weights[0] = 1.0f - rest;
    weights[1] = rest;
    if (slopes) slopes[0] = -1.0f, slopes[1] = 1.0f;
  } else {
    constexpr Four cubic = {-0.75f, 1.25f, -1.25f, 0.75f}, square = {1.5f, -2.25f, 1.5f, -0.75f};
    constexpr Four linear = {-0.75f, 0.0f, 0.75f, 0.0f}, constant = {0.0f, 1.0f, 0.0f, 0.0f};
    store_four(weights, ((cubic * rest + square) * rest + linear) * rest + constant);
    if (slopes) store_four(slopes, (3.0f * cubic * rest + 2.0f * square) * rest + linear);
  }
}

template <int taps>
void prepare_row(const float* flow_x, const float* flow_y, std::int32_t row, std::int32_t height, std::int32_t width,
                 const WarpedRow& to) {
  constexpr std::int32_t before = taps == 4 ? 1 : 0;  // the place's own element
  for (std::int64_t i = 0; i < to.width; i += W) {
    const std::int64_t lanes = lanes_at(i, to.width);
    const Steps right = steps_of(load_some(flow_x + i, lanes)), down = steps_of(load_some(flow_y + i, lanes));
    I column = right.whole + lane_numbers() + (static_cast<std::int32_t>(i) - before),
      line = down.whole + (row - before);
    if (taps == 1) {  // the nearest
      column -= right.rest >= 0.5f;
      line -= down.rest >= 0.5f;
    }
    const I inside = (column >= 0) & (column <= width - taps) & (line >= 0) & (line <= height - taps);
    const I first = ((line & inside) * width + (column & inside)) | ~inside;
    store_some(to.first + i, first, lanes);
    for (std::int64_t lane = 0; lane < lanes; ++lane) {
      const std::int64_t at = (i + lane) * 2 * taps;
      float* slopes = to.slopes ? to.slopes + at : nullptr;
      store_weights<taps>(right.rest[lane], to.weights + at, slopes);
      store_weights<taps>(down.rest[lane], to.weights + at + taps, slopes ? slopes + taps : nullptr);
    }
  }
}

// The sum of a block's elements, times the weights of columns and rows.
template <int taps>
inline float sum_of_block(const float* x, std::int64_t width, const float* columns, const float* rows) {
  if constexpr (taps == 4) {
    Four sum = load_four(x) * rows[0];
    for (int r = 1; r < taps; ++r) sum += load_four(x + r * width) * rows[r];
    return sum_of_four(sum * load_four(columns));
  } else {
    float sum = 0.0f;
    for (int r = 0; r < taps; ++r) {
      float line = columns[0] * x[r * width];
      for (int c = 1; c < taps; ++c) line += columns[c] * x[r * width + c];
      sum += rows[r] * line;
    }
    return sum;
  }
}

template <int taps>
void forward_row(const WarpedRow& row, std::int64_t width, const float* x, float* y) {
  for (std::int64_t i = 0; i < row.width; ++i) {
    const float* columns = row.weights + i * 2 * taps;
    y[i] = sum_of_block<taps>(x + row.first[i], width, columns, columns + taps);
  }
}

template <int taps>
void backward_data_row(const WarpedRow& row, std::int64_t width, const float* dy, double* sums) {
  for (std::int64_t i = 0; i < row.width; ++i) {
    const float *columns = row.weights + i * 2 * taps, *rows = columns + taps;
    double* to = sums + row.first[i];
    const double d = dy[i];
    for (int r = 0; r < taps; ++r, to += width) {
      const double part = d * rows[r];
      for (int c = 0; c < taps; ++c) to[c] += part * columns[c];
    }
  }
}

template <int taps>
void backward_flow_row(const WarpedRow& row, std::int64_t width, const float* dy, const float* x, double* right,
                       double* down) {
  for (std::int64_t i = 0; i < row.width; ++i) {
    const float *columns = row.weights + i * 2 * taps, *slopes = row.slopes + i * 2 * taps;
    const float* block = x + row.first[i];
    const double d = dy[i];
    right[i] += d * sum_of_block<taps>(block, width, slopes, columns + taps);
    down[i] += d * sum_of_block<taps>(block, width, columns, slopes + taps);
  }
}

void prepare(Interpolation interpolation, const float* flow_x, const float* flow_y, std::int64_t row,
             std::int64_t height, std::int64_t width, const WarpedRow& to) {
  const auto narrow = [](std::int64_t n) { return static_cast<std::int32_t>(n); };
  with_taps(interpolation,
            [&](auto by) { prepare_row<by.taps>(flow_x, flow_y, narrow(row), narrow(height), narrow(width), to); });
}

void forward(Interpolation interpolation, const WarpedRow& row, std::int64_t width, const float* x, float* y) {
  with_taps(interpolation, [&](auto by) { forward_row<by.taps>(row, width, x, y); });
}

void backward_data(Interpolation interpolation, const WarpedRow& row, std::int64_t width, const float* dy,
                   double* sums) {
  with_taps(interpolation, [&](auto by) { backward_data_row<by.taps>(row, width, dy, sums); });
}

void backward_flow(Interpolation interpolation, const WarpedRow& row, std::int64_t width, const float* dy,
                   const float* x, double* right, double* down) {
  with_taps(interpolation, [&](auto by) { backward_flow_row<by.taps>(row, width, dy, x, right, down); });
}

}  // namespace

extern const WarpKernels warp_kernels = {
    .prepare = prepare, .forward = forward, .backward_data = backward_data, .backward_flow = backward_flow};

}  // namespace dip::cpu::DIP_ISA
