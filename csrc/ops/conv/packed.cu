// Convolutions as products of packed numbers (core/packed_gemm.h): x and dy with the channels of a position side by
// side, weights with those of a tap, float32 split into planes of bfloat16. What lies so already, 1×1 images and
// weights of 16 bits, is read in place. Few channels, as photographs have, are joined by their neighbours in the row.
#include <memory>

#include "core/copy_kernels.h"
#include "core/packed_gemm.h"
#include "core/scalar_math.h"
#include "ops/conv/conv.h"
#include "ops/conv/direct.h"
#include "ops/conv/packed.h"
#include "ops/conv/phase.h"

namespace dip::cuda {
namespace {

using Bits = std::uint16_t;

std::int64_t whole_octets(std::int64_t channels) {
  return (channels + octet - 1) / octet * octet;
}

// With the channels and filters of every group filled up.
Conv2d with_whole_octets(Conv2d p) {
  p.C = p.groups * whole_octets(p.group_channels());
  p.K = p.groups * whole_octets(p.group_filters());
  return p;
}

bool is_aligned(const void* data) {
  return reinterpret_cast<std::uintptr_t>(data) % sizeof(Octet) == 0;
}

// A number's planes.
__device__ inline void split(Bits x, Bits (&to)[1]) {
  to[0] = x;
}
template <int planes>
__device__ void split(float x, Bits (&to)[planes]) {
  SplitFloat<planes>::split(x, to);
}

// to[plane][group][image and position][channel, filled up with zeros] from images of groups × channels planes. A block
// turns around a piece of `octets` · 8 channels and as many positions as make 256 octets.
template <class From, int planes>
__global__ void pack_images_kernel(int channels, int image_plane, int positions, int padded, int octets,
                                   const From* from, Bits* to) {
  const int pairs = octets * (octet / 2), pitch = pairs + 1;  // the 1 puts neighbours into different banks
  const int count = threads_per_block / octets, groups = static_cast<int>(gridDim.z);
  const int group = static_cast<int>(blockIdx.z);
  const int first = static_cast<int>(blockIdx.x) * count, channel = static_cast<int>(blockIdx.y) * octets * octet;
  constexpr int words_a_plane = threads_per_block * (octet / 2 + 1);
  constexpr int all_words = planes * words_a_plane;
  DIP_SHARED_ARRAY(unsigned, words, all_words);
  for (int e = static_cast<int>(threadIdx.x); e < count * pairs; e += threads_per_block) {
    const int position = first + e % count, c = channel + e / count * 2, image = position / image_plane;
    const From* at = from + ((image * groups + group) * channels + c) * image_plane + position % image_plane;
    Bits low[planes], high[planes];
    split(position < positions && c < channels ? at[0] : From{}, low);
    split(position < positions && c + 1 < channels ? at[image_plane] : From{}, high);
    for (int plane = 0; plane < planes; ++plane) {
      words[plane * words_a_plane + e % count * pitch + e / count] = low[plane] | static_cast<unsigned>(high[plane])
                                                                                      << 16;
    }
  }
  __syncthreads();
  const int place = static_cast<int>(threadIdx.x) / octets, at = static_cast<int>(threadIdx.x) % octets;
  if (first + place >= positions || channel + at * octet >= padded) return;
  for (int plane = 0; plane < planes; ++plane) {
    Octet result;
    for (int pair = 0; pair < 4; ++pair) {
      result.pairs[pair] = words[plane * words_a_plane + place * pitch + at * 4 + pair];
    }
    Bits* row =
        to + (plane * static_cast<std::int64_t>(groups) * positions + group * positions + first + place) * padded;
    *reinterpret_cast<Octet*>(row + channel + at * octet) = result;
  }
}

// x of which a convolution with `width` taps in a row takes so many neighbours for channels: to[plane][image][row of x]
// [column of the result][channel and tap, filled up with zeros].
template <class From, int planes>
__global__ void unfold_rows_kernel(int count, int channels, int height, Axis w, int padded, const From* from,
                                   Bits* to) {
  const int octets = padded / octet, columns = static_cast<int>(w.output), taps = static_cast<int>(w.kernel);
  for (int e = static_cast<int>(first_element()); e < count; e += static_cast<int>(element_step())) {
    const int column = e % columns, first = e / columns % octets * octet, row = e / columns / octets;  // of all images
    const int start = column * static_cast<int>(w.stride) - static_cast<int>(w.pad_start);
    Bits parts[octet][planes];
    for (int k = 0; k < octet; ++k) {
      const int c = (first + k) / taps, at = start + (first + k) % taps * static_cast<int>(w.dilation);
      const bool inside = c < channels && at >= 0 && at < w.input;
      const int line = (row / height * channels + c) * height + row % height;
      split(inside ? from[line * static_cast<int>(w.input) + at] : From{}, parts[k]);
    }
    for (int plane = 0; plane < planes; ++plane) {
      Octet result;
      for (int pair = 0; pair < 4; ++pair) {
        result.pairs[pair] = parts[2 * pair][plane] | static_cast<unsigned>(parts[2 * pair + 1][plane]) << 16;
      }
      Bits* to_row = to + plane * (static_cast<std::int64_t>(count) * octet) + (row * columns + column) * padded;
      *reinterpret_cast<Octet*>(to_row + first) = result;
    }
  }
}

// to[plane][filter][tap][channel, filled up with zeros] from [filter][channel / folded][tap][channel % folded].
template <class From, int planes>
__global__ void pack_weights_kernel(int count, int channels, int taps, int folded, int padded, const From* from,
                                    Bits* to) {
  for (int at = static_cast<int>(first_element()); at < count; at += static_cast<int>(element_step())) {
    const int c = at % padded, tap = at / padded % taps, k = at / padded / taps;
    Bits parts[planes];
    const int at_channel = (k * (channels / folded) + c / folded) * taps + tap;
    split(c < channels ? from[at_channel * folded + c % folded] : From{}, parts);
    for (int plane = 0; plane < planes; ++plane) to[plane * static_cast<std::int64_t>(count) + at] = parts[plane];
  }
}

// Runs with a number whose type says how those of an array are packed: Bits or float, and in how many planes.
template <class Run>
void with_planes(DType dtype, int planes, const Run& run) {
  if (dtype != DType::float32) return run(Bits{}, std::integral_constant<int, 1>{});
  if (planes == 2) return run(float{}, std::integral_constant<int, 2>{});
  run(float{}, std::integral_constant<int, 3>{});
}

int planes_of(const Conv2d& p, DType dtype) {
  return dtype != DType::float32 ? 1 : p.precision == Precision::highest ? 3 : 2;
}

// Calls run with the Number of packed_gemm.
template <class Run>
void with_number(const Conv2d& p, DType dtype, const Run& run) {
  if (dtype == DType::float16) return run(AsStored<Half>{});
  if (dtype == DType::bfloat16) return run(AsStored<Bfloat>{});
  if (planes_of(p, dtype) == 2) return run(SplitFloat<2>{});
  run(SplitFloat<3>{});
}

// The same convolution of an x whose rows are unfolded: the taps of a row are channels, and a row has as many positions
// as the result. Where channels are too few for an octet that fills it; elsewhere p itself.
Conv2d with_rows_unfolded(Conv2d p) {
  Axis& w = p.window.w;
  if (p.groups > 1 || p.C >= octet || w.kernel == 1) return p;
  p.C *= w.kernel;
  w.input = w.output;
  w.kernel = w.stride = w.dilation = 1;
  w.pad_start = w.pad_end = 0;
  return p;
}

// An operand of a product, and the memory it is packed in, unless it is an array itself.
struct Packed {
  std::int64_t padded, group, plane;  // channels of a group, filled up; numbers of a group and of a plane
  const Bits* data = nullptr;
  std::unique_ptr<DeviceScratch<Bits>> memory = nullptr;

  Packed(std::int64_t padded_, std::int64_t group_, std::int64_t groups)
      : padded(padded_), group(group_), plane(groups * group_) {}

  Bits* allocate(int planes) {
    memory = std::make_unique<DeviceScratch<Bits>>(planes * plane);
    data = memory->data();
    return memory->data();
  }
};

// Images of p.C channels, or of p.K.
Packed pack_images(const Conv2d& p, Reals x, std::int64_t channels, std::int64_t height, std::int64_t width) {
  const std::int64_t padded = whole_octets(channels / p.groups), image_plane = height * width;
  const std::int64_t positions = p.N * image_plane;
  Packed packed(padded, positions * padded, p.groups);
  if (x.dtype != DType::float32 && image_plane == 1 && p.groups == 1 && padded == channels && is_aligned(x.data)) {
    packed.data = static_cast<const Bits*>(x.data);
    return packed;
  }
  Bits* to = packed.allocate(planes_of(p, x.dtype));
  if (packed.plane == 0) return packed;
  int octets = 8;
  while (octets > padded / octet) octets /= 2;
  const std::int64_t count = threads_per_block / octets;
  const Grid grid{static_cast<unsigned>((positions + count - 1) / count),
                  static_cast<unsigned>((padded / octet + octets - 1) / octets), static_cast<unsigned>(p.groups)};
  with_planes(x.dtype, planes_of(p, x.dtype), [&](auto number, auto planes) {
    using From = decltype(number);
    launch(pack_images_kernel<From, planes>, grid, threads_per_block, std::size_t{0}, int(channels / p.groups),
           int(image_plane), int(positions), int(padded), octets, static_cast<const From*>(x.data), to);
  });
  return packed;
}

// x as the convolution `unfolded`, with_rows_unfolded(p), takes it.
Packed pack_x(const Conv2d& p, const Conv2d& unfolded, Reals x) {
  if (unfolded.window.w.kernel == p.window.w.kernel) {
    return pack_images(p, x, p.C, p.window.h.input, p.window.w.input);
  }
  const std::int64_t padded = whole_octets(unfolded.C);
  Packed packed(padded, p.N * p.window.h.input * p.window.w.output * padded, 1);
  Bits* to = packed.allocate(planes_of(p, x.dtype));
  with_planes(x.dtype, planes_of(p, x.dtype), [&](auto number, auto planes) {
    using From = decltype(number);
    launch_elements(unfold_rows_kernel<From, planes>, packed.plane / octet, int(packed.plane / octet), int(p.C),
                    int(p.window.h.input), p.window.w, int(padded), static_cast<const From*>(x.data), to);
  });
  return packed;
}

// `folded`: how many neighbours in the row are channels.
Packed pack_weights(const Conv2d& p, Reals weight, std::int64_t folded) {
  const std::int64_t padded = whole_octets(p.group_channels());
  Packed packed(padded, p.group_filters() * p.taps() * padded, p.groups);
  if (weight.dtype != DType::float32 && p.taps() == 1 && padded == p.group_channels() && is_aligned(weight.data)) {
    packed.data = static_cast<const Bits*>(weight.data);
    return packed;
  }
  Bits* to = packed.allocate(planes_of(p, weight.dtype));
  with_planes(weight.dtype, planes_of(p, weight.dtype), [&](auto number, auto planes) {
    using From = decltype(number);
    launch_elements(pack_weights_kernel<From, planes>, packed.plane, int(packed.plane), int(p.group_channels()),
                    int(p.taps()), int(folded), int(padded), static_cast<const From*>(weight.data), to);
  });
  return packed;
}

// One axis of a product: place q lies at first + q·step of the image, tap t at shift + t·shift_step from there, and the
// result of place q at out_first + q·out_step.
struct ProductAxis {
  int places, first, step, taps, shift, shift_step, out_first, out_step;
};

ProductAxis forward_axis(const Axis& axis) {
  return {int(axis.output), -int(axis.pad_start), int(axis.stride), int(axis.kernel), 0, int(axis.dilation), 0, 1};
}

ProductAxis backward_axis(const Axis& axis, const Phase& phase) {
  // Divisible, as the taps of this phase are.
  const int stride = int(axis.stride), dilation = int(axis.dilation);
  const int shift = (phase.first + int(axis.pad_start) - phase.first_tap * dilation) / stride;
  return {phase.count, 0, 1, phase.taps, shift, -(phase.tap_step * dilation) / stride, phase.first, stride};
}

// An image whose channels lie side by side, and the places and shifts on it.
struct PackedView {
  int height, width, channels;  // of a group, filled up
  ProductAxis h, w;

  __device__ Place at(int offset, int y, int x) const { return {offset + (y * width + x) * channels, y, x}; }
  __device__ Place place_at(int position) const {
    const int x = position % w.places, y = position / w.places % h.places, n = position / w.places / h.places;
    return at(n * height * width * channels, h.first + y * h.step, w.first + x * w.step);
  }
  // Numbers [first, first + 8) in the order of taps and channels.
  __device__ Place shift_at(int first) const {
    const int c = first % channels, s = first / channels % w.taps, r = first / channels / w.taps;
    return at(c, h.shift + r * h.shift_step, w.shift + s * w.shift_step);
  }
};

// A product of two packed operands, one with such a view.
struct PackedOperands : PackedView {
  int rows, columns, depth;
  const Bits *a, *b;
  std::int64_t a_plane, b_plane;  // distances of the planes
  int a_group, b_group, a_padded;

  PackedOperands(const PackedView& view, const Packed& left, const Packed& right, int rows_, int columns_, int depth_)
      : PackedView(view),
        rows(rows_),
        columns(columns_),
        depth(depth_),
        a(left.data),
        b(right.data),
        a_plane(left.plane),
        b_plane(right.plane),
        a_group(int(left.group)),
        b_group(int(right.group)),
        a_padded(int(left.padded)) {}

  __device__ void begin(int group) {
    a += group * a_group;
    b += group * b_group;
  }
};

// What the forward pass and the gradient of the data share: planes of results × positions.
template <class Number>
struct PlaneProduct : PackedOperands {
  static constexpr bool b_across = false;
  using Stored = typename Number::Stored;
  Stored* result;
  int out_width, out_plane, out_image;
  bool rows_side_by_side;

  PlaneProduct(const PackedView& view, std::int64_t images, const Packed& weights, const Packed& source, int rows_,
               std::int64_t out_height, std::int64_t out_width_, std::int64_t out_channels, void* result_)
      : PackedOperands(view, weights, source, rows_, int(images) * view.h.places * view.w.places,
                       view.h.taps * view.w.taps * view.channels),
        result(static_cast<Stored*>(result_)),
        out_width(int(out_width_)),
        out_plane(int(out_height * out_width_)),
        out_image(int(out_channels) * out_plane),
        rows_side_by_side(out_plane == 1) {}

  __device__ void begin(int group, int) {
    PackedOperands::begin(group);
    result += group * rows * out_plane;
  }
  __device__ int out_at(int j) const {
    const int x = j % w.places, y = j / w.places % h.places, n = j / w.places / h.places;
    return n * out_image + (h.out_first + y * h.out_step) * out_width + w.out_first + x * w.out_step;
  }
};

template <class Number>
struct Forward : PlaneProduct<Number> {
  static constexpr bool a_across = false;
  const typename Number::Stored* bias = nullptr;
  ActivationSpec activation;

  using PlaneProduct<Number>::PlaneProduct;

  __device__ void begin(int group, int split) {
    PlaneProduct<Number>::begin(group, split);
    if (bias) bias += group * this->rows;
  }
  __device__ int a_at(int filter) const { return filter * this->depth; }
  __device__ void store(int i, int out, float sum) const {
    const float biased = bias ? sum + Number::widen(bias[i]) : sum;
    this->result[out + i * this->out_plane] = Number::round(activate(biased, activation.kind, activation.alpha));
  }
};

template <class Number>
struct BackwardData : PlaneProduct<Number> {
  static constexpr bool a_across = true;
  int filters;         // of a group
  int taps, kernel_w;  // of the whole kernel
  Phase phase_h, phase_w;

  using PlaneProduct<Number>::PlaneProduct;

  // The packed weights of one filter and tap, in the order of shift_at.
  __device__ int a_at(int d) const {
    const int k = d % this->channels, t = d / this->channels;
    const int s = phase_w.first_tap + t % phase_w.taps * phase_w.tap_step;
    const int r = phase_h.first_tap + t / phase_w.taps * phase_h.tap_step;
    return k < filters ? (k * taps + r * kernel_w + s) * this->a_padded : -1;
  }
  __device__ void store(int i, int out, float sum) const {
    this->result[out + i * this->out_plane] = Number::round(sum);
  }
};

// Filters × (taps and channels), summed over images and positions.
struct BackwardWeight : PackedOperands {
  static constexpr bool a_across = true, b_across = true;
  int kernel_taps, group_channels, folded, elements;
  float* dweight;  // of each split, one after the other
  bool rows_side_by_side = false;

  BackwardWeight(const Conv2d& p, std::int64_t folded_, const PackedView& view, const Packed& gradients,
                 const Packed& images)
      : PackedOperands(view, gradients, images, int(p.group_filters()), int(p.taps()) * view.channels,
                       int(p.N * p.window.h.output * p.window.w.output)),
        kernel_taps(int(p.taps())),
        group_channels(int(p.group_channels())),
        folded(int(folded_)),
        elements(int(p.K) * group_channels * kernel_taps) {}

  __device__ void begin(int group, int split) {
    PackedOperands::begin(group);
    dweight += split * elements + group * rows * group_channels * kernel_taps;
  }
  __device__ int a_at(int position) const { return position * a_padded; }
  __device__ int out_at(int j) const {
    const int c = j % channels, tap = j / channels;
    return c < group_channels ? (c / folded * kernel_taps + tap) * folded + c % folded : -1;
  }
  __device__ void store(int i, int out, float sum) const {
    if (out >= 0) dweight[i * group_channels * kernel_taps + out] = sum;
  }
};

template <class Problem>
GemmPlan plan(const Problem& problem, const Conv2d& p, DType dtype, bool may_split) {
  const bool by_warpgroups = dtype != DType::float32 && may_use_warpgroups() && has_warpgroup_products();
  return plan_gemm(problem.rows, problem.columns, problem.depth, p.groups, multiprocessors(), may_split, by_warpgroups);
}

}  // namespace

bool uses_packed(const Conv2d& p, DType dtype) {
  if (!has_tf32() || use_direct(p)) return false;
  const Conv2d whole = with_whole_octets(with_rows_unfolded(p));
  if (use_direct(with_whole_octets(p)) || use_direct(whole)) return false;
  if (dtype != DType::float32) return true;
  if (p.precision == Precision::medium) return false;  // TF32 has more bits than bfloat16
  return split_pays(p.y_count() * p.group_channels() * p.taps(),
                    whole.x_count() + whole.y_count() + whole.weight_count(), p.precision == Precision::high ? 3 : 6,
                    multiprocessors());
}

void conv2d_forward_packed(const Conv2d& given, Reals x, Reals weight, Reals bias, RealResults y) {
  const Conv2d p = with_rows_unfolded(given);
  const Axis &h = p.window.h, &w = p.window.w;
  const Packed images = pack_x(given, p, x);
  const Packed weights = pack_weights(p, weight, given.window.w.kernel / w.kernel);
  const PackedView view{int(h.input), int(w.input), int(images.padded), forward_axis(h), forward_axis(w)};
  with_number(p, x.dtype, [&](auto number) {
    using Number = decltype(number);
    Forward<Number> problem(view, p.N, weights, images, int(p.group_filters()), h.output, w.output, p.K, y.data);
    problem.bias = static_cast<const typename Number::Stored*>(bias.data);
    problem.activation = p.activation;
    packed_gemm<Number>(problem, int(p.groups), plan(problem, p, x.dtype, false));
  });
}

void conv2d_backward_data_packed(const Conv2d& p, Reals dy, Reals weight, RealResults dx) {
  const Axis &h = p.window.h, &w = p.window.w;
  const Packed images = pack_images(p, dy, p.K, h.output, w.output);
  const Packed weights = pack_weights(p, weight, 1);
  for (std::int64_t phase_h = 0; phase_h < h.stride; ++phase_h) {
    for (std::int64_t phase_w = 0; phase_w < w.stride; ++phase_w) {
      const Phase along_h = make_phase(h, phase_h), along_w = make_phase(w, phase_w);
      const PackedView view{int(h.output), int(w.output), int(images.padded), backward_axis(h, along_h),
                            backward_axis(w, along_w)};
      with_number(p, dy.dtype, [&](auto number) {
        using Number = decltype(number);
        BackwardData<Number> problem(view, p.N, weights, images, int(p.group_channels()), h.input, w.input, p.C,
                                     dx.data);
        problem.filters = int(p.group_filters());
        problem.taps = int(p.taps());
        problem.kernel_w = int(w.kernel);
        problem.phase_h = along_h;
        problem.phase_w = along_w;
        packed_gemm<Number>(problem, int(p.groups), plan(problem, p, dy.dtype, false));
      });
    }
  }
}

void conv2d_backward_weight_packed(const Conv2d& given, Reals dy, Reals x, RealResults dweight) {
  const Conv2d p = with_rows_unfolded(given);
  const Axis &h = p.window.h, &w = p.window.w;
  const Packed gradients = pack_images(p, dy, p.K, h.output, w.output), images = pack_x(given, p, x);
  const PackedView view{int(h.input), int(w.input), int(images.padded), forward_axis(h), forward_axis(w)};
  BackwardWeight problem(p, given.window.w.kernel / w.kernel, view, gradients, images);
  const GemmPlan cut = plan(problem, p, x.dtype, true);
  in_float32(dweight, problem.elements, [&](float* result) {
    sum_splits(cut, problem.elements, result, [&](float* to) {
      problem.dweight = to;
      with_number(p, x.dtype, [&](auto number) { packed_gemm<decltype(number)>(problem, int(p.groups), cut); });
    });
  });
}

}  // namespace dip::cuda
