// Convolutions of 16-bit numbers as products of packed operands (core/half_gemm.h): x and dy with the channels of a
// position side by side, weights with those of a tap. What lies so already, 1×1 images and weights, is read in place.

#include <memory>

#include "core/copy_kernels.h"
#include "core/gather_gemm.h"
#include "core/half_gemm.h"
#include "core/scalar_math.h"
#include "ops/conv/conv.h"
#include "ops/conv/direct.h"
#include "ops/conv/phase.h"

namespace dip::cuda {
namespace {

using Bits = std::uint16_t;

std::int64_t whole_octets(std::int64_t channels) {
  return (channels + octet - 1) / octet * octet;
}

bool is_aligned(const void* data) {
  return reinterpret_cast<std::uintptr_t>(data) % sizeof(Octet) == 0;
}

// to[group][image and position][channel, filled up with zeros] from images of groups × channels planes. A block turns
// around a piece of `octets` · 8 channels and as many positions as make 256 octets.
__global__ void pack_images_kernel(int groups, int channels, int plane, int positions, int padded, int octets,
                                   const Bits* from, Bits* to) {
  const int pairs = octets * (octet / 2), pitch = pairs + 1;  // the 1 puts neighbours into different banks
  const int count = threads_per_block / octets, group = static_cast<int>(blockIdx.z);
  const int first = static_cast<int>(blockIdx.x) * count, channel = static_cast<int>(blockIdx.y) * octets * octet;
  DIP_SHARED_ARRAY(unsigned, words, threads_per_block*(octet / 2 + 1));
  for (int e = static_cast<int>(threadIdx.x); e < count * pairs; e += threads_per_block) {
    const int position = first + e % count, c = channel + e / count * 2;
    const Bits* at = from + ((position / plane * groups + group) * channels + c) * plane + position % plane;
    const unsigned low = position < positions && c < channels ? at[0] : 0;
    const unsigned high = position < positions && c + 1 < channels ? at[plane] : 0;
    words[e % count * pitch + e / count] = low | high << 16;
  }
  __syncthreads();
  const int place = static_cast<int>(threadIdx.x) / octets, at = static_cast<int>(threadIdx.x) % octets;
  if (first + place >= positions || channel + at * octet >= padded) return;
  Octet result;
  for (int pair = 0; pair < 4; ++pair) result.pairs[pair] = words[place * pitch + at * 4 + pair];
  *reinterpret_cast<Octet*>(to + (group * positions + first + place) * padded + channel + at * octet) = result;
}

// to[filter][tap][channel, filled up with zeros] from [filter][channel][tap].
__global__ void pack_weights_kernel(int filters, int channels, int taps, int padded, const Bits* from, Bits* to) {
  const std::int64_t count = static_cast<std::int64_t>(filters) * taps * padded;
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const int at = static_cast<int>(i), c = at % padded, tap = at / padded % taps, k = at / padded / taps;
    to[at] = c < channels ? from[(k * channels + c) * taps + tap] : Bits{0};
  }
}

// Images of p.C channels, or of p.K, packed.
class PackedImages {
 public:
  PackedImages(const Conv2d& p, const void* data, std::int64_t channels, std::int64_t height, std::int64_t width)
      : channels_(channels / p.groups), padded_(whole_octets(channels_)), positions_(p.N * height * width) {
    const std::int64_t plane = height * width;
    if (plane == 1 && p.groups == 1 && padded_ == channels_ && is_aligned(data)) {
      packed_ = static_cast<const Bits*>(data);
      return;
    }
    memory_ = std::make_unique<DeviceScratch<Bits>>(p.groups * positions_ * padded_);
    packed_ = memory_->data();
    int octets = 8;
    while (octets > padded_ / octet) octets /= 2;
    if (positions_ * padded_ == 0) return;
    const std::int64_t count = threads_per_block / octets;
    const Grid grid{static_cast<unsigned>((positions_ + count - 1) / count),
                    static_cast<unsigned>((padded_ / octet + octets - 1) / octets), static_cast<unsigned>(p.groups)};
    launch(pack_images_kernel, grid, threads_per_block, std::size_t{0}, int(p.groups), int(channels_), int(plane),
           int(positions_), int(padded_), octets, static_cast<const Bits*>(data), memory_->data());
  }

  const Bits* data() const { return packed_; }
  int padded() const { return int(padded_); }
  int group() const { return int(positions_ * padded_); }  // elements of a group

 private:
  std::int64_t channels_, padded_, positions_;
  std::unique_ptr<DeviceScratch<Bits>> memory_;
  const Bits* packed_;
};

class PackedWeights {
 public:
  PackedWeights(const Conv2d& p, const void* data) : padded_(whole_octets(p.group_channels())) {
    if (p.taps() == 1 && padded_ == p.group_channels() && is_aligned(data)) {
      packed_ = static_cast<const Bits*>(data);
      return;
    }
    const std::int64_t count = p.K * p.taps() * padded_;
    memory_ = std::make_unique<DeviceScratch<Bits>>(count);
    packed_ = memory_->data();
    launch_elements(pack_weights_kernel, count, int(p.K), int(p.group_channels()), int(p.taps()), int(padded_),
                    static_cast<const Bits*>(data), memory_->data());
  }

  const Bits* data() const { return packed_; }
  int padded() const { return int(padded_); }

 private:
  std::int64_t padded_;
  std::unique_ptr<DeviceScratch<Bits>> memory_;
  const Bits* packed_;
};

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

// What the forward pass and the gradient of the data share: planes of results × positions.
template <class Number>
struct PlaneProduct : PackedView {
  static constexpr bool b_across = false;
  int rows, columns, depth;
  const Bits *a, *b;
  int a_group, b_group, a_padded;
  Number* result;
  int out_width, out_plane, out_image;
  bool rows_side_by_side;

  PlaneProduct(const PackedView& view, std::int64_t images, const PackedWeights& weights, int group_weights,
               const PackedImages& source, int rows_, std::int64_t out_height, std::int64_t out_width_,
               std::int64_t out_channels, void* result_)
      : PackedView(view),
        rows(rows_),
        columns(int(images) * h.places * w.places),
        depth(h.taps * w.taps * channels),
        a(weights.data()),
        b(source.data()),
        a_group(group_weights),
        b_group(source.group()),
        a_padded(weights.padded()),
        result(static_cast<Number*>(result_)),
        out_width(int(out_width_)),
        out_plane(int(out_height * out_width_)),
        out_image(int(out_channels) * out_plane),
        rows_side_by_side(out_plane == 1) {}

  __device__ void begin(int group, int) {
    a += group * a_group;
    b += group * b_group;
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
  const Number* bias = nullptr;
  ActivationSpec activation;

  using PlaneProduct<Number>::PlaneProduct;

  __device__ void begin(int group, int split) {
    PlaneProduct<Number>::begin(group, split);
    if (bias) bias += group * this->rows;
  }
  __device__ int a_at(int filter) const { return filter * this->depth; }
  __device__ void store(int i, int out, float sum) const {
    const float biased = bias ? sum + bias[i].widen() : sum;
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
struct BackwardWeight : PackedView {
  static constexpr bool a_across = true, b_across = true;
  int rows, columns, depth;
  const Bits *a, *b;
  int a_group, b_group, a_padded;
  int kernel_taps, group_channels, elements;
  float* dweight;  // of each split, one after the other
  bool rows_side_by_side = false;

  BackwardWeight(const Conv2d& p, const PackedView& view, const PackedImages& gradients, const PackedImages& images)
      : PackedView(view),
        rows(int(p.group_filters())),
        columns(int(p.taps()) * channels),
        depth(int(p.N * p.window.h.output * p.window.w.output)),
        a(gradients.data()),
        b(images.data()),
        a_group(gradients.group()),
        b_group(images.group()),
        a_padded(gradients.padded()),
        kernel_taps(int(p.taps())),
        group_channels(int(p.group_channels())),
        elements(int(p.K) * group_channels * kernel_taps) {}

  __device__ void begin(int group, int split) {
    a += group * a_group;
    b += group * b_group;
    dweight += split * elements + group * rows * group_channels * kernel_taps;
  }
  __device__ int a_at(int position) const { return position * a_padded; }
  __device__ int out_at(int j) const {
    const int c = j % channels, tap = j / channels;
    return c < group_channels ? c * kernel_taps + tap : -1;
  }
  __device__ void store(int i, int out, float sum) const {
    if (out >= 0) dweight[i * group_channels * kernel_taps + out] = sum;
  }
};

bool multiplies_halves(const Conv2d& p) {
  Conv2d filled_up = p;
  filled_up.C = p.groups * whole_octets(p.group_channels());
  filled_up.K = p.groups * whole_octets(p.group_filters());
  return has_tf32() && !use_direct(p) && !use_direct(filled_up);
}

template <class Problem>
GemmPlan plan(const Problem& problem, const Conv2d& p, bool may_split) {
  return plan_gemm(problem.rows, problem.columns, problem.depth, p.groups, multiprocessors(), may_split);
}

}  // namespace

bool conv2d_forward_half(const Conv2d& p, DType dtype, const void* x, const void* weight, const void* bias, void* y) {
  if (!multiplies_halves(p)) return false;
  const Axis &h = p.window.h, &w = p.window.w;
  const PackedImages images(p, x, p.C, h.input, w.input);
  const PackedWeights weights(p, weight);
  const PackedView view{int(h.input), int(w.input), images.padded(), forward_axis(h), forward_axis(w)};
  const int filters = int(p.group_filters()), group_weights = filters * int(p.taps()) * weights.padded();
  with_half(dtype, [&](auto number) {
    using Number = decltype(number);
    Forward<Number> problem(view, p.N, weights, group_weights, images, filters, h.output, w.output, p.K, y);
    problem.bias = static_cast<const Number*>(bias);
    problem.activation = p.activation;
    half_gemm<Number>(problem, int(p.groups), plan(problem, p, false));
  });
  return true;
}

bool conv2d_backward_data_half(const Conv2d& p, DType dtype, const void* dy, const void* weight, void* dx) {
  if (!multiplies_halves(p)) return false;
  const Axis &h = p.window.h, &w = p.window.w;
  const PackedImages images(p, dy, p.K, h.output, w.output);
  const PackedWeights weights(p, weight);
  const int filters = int(p.group_filters()), group_weights = filters * int(p.taps()) * weights.padded();
  for (std::int64_t phase_h = 0; phase_h < h.stride; ++phase_h) {
    for (std::int64_t phase_w = 0; phase_w < w.stride; ++phase_w) {
      const Phase along_h = make_phase(h, phase_h), along_w = make_phase(w, phase_w);
      const PackedView view{int(h.output), int(w.output), images.padded(), backward_axis(h, along_h),
                            backward_axis(w, along_w)};
      with_half(dtype, [&](auto number) {
        using Number = decltype(number);
        BackwardData<Number> problem(view, p.N, weights, group_weights, images, int(p.group_channels()), h.input,
                                     w.input, p.C, dx);
        problem.filters = filters;
        problem.taps = int(p.taps());
        problem.kernel_w = int(w.kernel);
        problem.phase_h = along_h;
        problem.phase_w = along_w;
        half_gemm<Number>(problem, int(p.groups), plan(problem, p, false));
      });
    }
  }
  return true;
}

bool conv2d_backward_weight_half(const Conv2d& p, DType dtype, const void* dy, const void* x, void* dweight) {
  if (!multiplies_halves(p)) return false;
  const Axis &h = p.window.h, &w = p.window.w;
  const PackedImages gradients(p, dy, p.K, h.output, w.output), images(p, x, p.C, h.input, w.input);
  const PackedView view{int(h.input), int(w.input), images.padded(), forward_axis(h), forward_axis(w)};
  BackwardWeight problem(p, view, gradients, images);
  const GemmPlan cut = plan(problem, p, true);
  DeviceScratch<float> parts(std::int64_t{cut.splits} * problem.elements);
  problem.dweight = parts.data();
  with_half(dtype, [&](auto number) { half_gemm<decltype(number)>(problem, int(p.groups), cut); });
  if (cut.splits > 1) add_splits(parts.data(), cut.splits, problem.elements, parts.data());
  convert(dweight, dtype, parts.data(), DType::float32, problem.elements);
  return true;
}

}  // namespace dip::cuda
