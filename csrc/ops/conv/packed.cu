// Convolutions as products of packed numbers (core/packed_gemm.h): x and dy with the channels of a position side by
// side, weights with those of a tap, float32 split into planes of bfloat16. What lies so already, 1×1 images and
// weights of 16 bits, is read in place. Few channels, as photographs have, are joined by their neighbours in the row.
#include <cstdlib>
#include <memory>

#include "core/copy_kernels.h"
#include "core/packed_gemm.h"
#include "core/scalar_math.h"
#include "ops/conv/conv.h"
#include "ops/conv/direct.h"
#include "ops/conv/few_channels.h"
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

// Whether arrays have numbers as they are packed.
template <class Number>
constexpr bool is_packed = sizeof(typename Number::Stored) == sizeof(Bits);

bool is_aligned(const void* data) {
  return reinterpret_cast<std::uintptr_t>(data) % sizeof(Octet) == 0;
}

// The word that starts with this number: two of 16 bits, or one of 32.
__device__ inline unsigned word_at(const std::uint16_t* number) {
  return number[0] | static_cast<unsigned>(number[1]) << 16;
}
__device__ inline unsigned word_at(const std::uint32_t* number) {
  return *number;
}

// to[plane][group][image and position][channel, filled up with zeros to `padded` · 16 bits] from images of groups ×
// channels planes. A block turns around a piece of so many octets of channels and as many positions as make 256 octets.
template <class Number>
__global__ void pack_images_kernel(int channels, int image_plane, int positions, int padded, int octets,
                                   const typename Number::Stored* from, Bits* to) {
  using Stored = typename Number::Stored;
  using Part = typename Number::Part;
  constexpr int planes = Number::planes, numbers_a_word = 2 / width_of<Number>;
  const int words_across = octets * 4, pitch = words_across + 1;  // the 1 puts neighbours into different banks
  const int count = threads_per_block / octets, groups = static_cast<int>(gridDim.z);
  const int group = static_cast<int>(blockIdx.z);
  const int first = static_cast<int>(blockIdx.x) * count, first_octet = static_cast<int>(blockIdx.y) * octets;
  constexpr int words_a_plane = threads_per_block * (4 + 1);
  constexpr int all_words = planes * words_a_plane;
  DIP_SHARED_ARRAY(unsigned, words, all_words);
  for (int e = static_cast<int>(threadIdx.x); e < count * words_across; e += threads_per_block) {
    const int position = first + e % count, c = (first_octet * 4 + e / count) * numbers_a_word;
    const int image = position / image_plane;
    const Stored* at = from + ((image * groups + group) * channels + c) * image_plane + position % image_plane;
    Part parts[planes][numbers_a_word];
    for (int k = 0; k < numbers_a_word; ++k) {
      Part number[planes];
      Number::pack(position < positions && c + k < channels ? at[k * image_plane] : Stored{}, number);
      for (int plane = 0; plane < planes; ++plane) parts[plane][k] = number[plane];
    }
    for (int plane = 0; plane < planes; ++plane) {
      words[plane * words_a_plane + e % count * pitch + e / count] = word_at(parts[plane]);
    }
  }
  __syncthreads();
  const int place = static_cast<int>(threadIdx.x) / octets, at = static_cast<int>(threadIdx.x) % octets;
  const int offset = (first_octet + at) * octet;
  if (first + place >= positions || offset >= padded) return;
  for (int plane = 0; plane < planes; ++plane) {
    Octet result;
    for (int word = 0; word < 4; ++word) {
      result.words[word] = words[plane * words_a_plane + place * pitch + at * 4 + word];
    }
    Bits* row =
        to + (plane * static_cast<std::int64_t>(groups) * positions + group * positions + first + place) * padded;
    *reinterpret_cast<Octet*>(row + offset) = result;
  }
}

// x of which a convolution with `width` taps in a row takes so many neighbours for channels: to[plane][image][row of x]
// [column of the result][channel and tap, filled up with zeros].
template <class Number>
__global__ void unfold_rows_kernel(int count, int channels, int height, Axis w, int padded,
                                   const typename Number::Stored* from, Bits* to) {
  using Stored = typename Number::Stored;
  using Part = typename Number::Part;
  constexpr int planes = Number::planes, numbers = octet / width_of<Number>;  // of an octet
  const int octets = padded / octet, columns = static_cast<int>(w.output), taps = static_cast<int>(w.kernel);
  for (int e = static_cast<int>(first_element()); e < count; e += static_cast<int>(element_step())) {
    const int column = e % columns, which = e / columns % octets, row = e / columns / octets;  // of all images
    const int start = column * static_cast<int>(w.stride) - static_cast<int>(w.pad_start);
    Part parts[planes][numbers];
    for (int k = 0; k < numbers; ++k) {
      const int c = (which * numbers + k) / taps;
      const int at = start + (which * numbers + k) % taps * static_cast<int>(w.dilation);
      const bool inside = c < channels && at >= 0 && at < w.input;
      const int line = (row / height * channels + c) * height + row % height;
      Part number[planes];
      Number::pack(inside ? from[line * static_cast<int>(w.input) + at] : Stored{}, number);
      for (int plane = 0; plane < planes; ++plane) parts[plane][k] = number[plane];
    }
    for (int plane = 0; plane < planes; ++plane) {
      Octet result;
      for (int word = 0; word < 4; ++word) result.words[word] = word_at(parts[plane] + word * numbers / 4);
      Bits* to_row = to + plane * (static_cast<std::int64_t>(count) * octet) + (row * columns + column) * padded;
      *reinterpret_cast<Octet*>(to_row + which * octet) = result;
    }
  }
}

// to[plane][filter][tap][channel, filled up with zeros] from [filter][channel / folded][tap][channel % folded].
template <class Number>
__global__ void pack_weights_kernel(int count, int channels, int taps, int folded, int padded,
                                    const typename Number::Stored* from, typename Number::Part* to) {
  for (int at = static_cast<int>(first_element()); at < count; at += static_cast<int>(element_step())) {
    const int c = at % padded, tap = at / padded % taps, k = at / padded / taps;
    typename Number::Part parts[Number::planes];
    const int at_channel = (k * (channels / folded) + c / folded) * taps + tap;
    Number::pack(c < channels ? from[at_channel * folded + c % folded] : typename Number::Stored{}, parts);
    for (int plane = 0; plane < Number::planes; ++plane)
      to[plane * static_cast<std::int64_t>(count) + at] = parts[plane];
  }
}

// Calls run with a Number of packed_gemm as precise as is wanted, or more where TF32 would have to be transposed.
template <class Run>
void with_transposable_number(const Conv2d& p, DType dtype, const Run& run) {
  if (dtype == DType::float16) return run(AsStored<Half>{});
  if (dtype == DType::bfloat16) return run(AsStored<Bfloat>{});
  if (p.precision != Precision::highest) return run(SplitFloat<2>{});
  run(SplitFloat<3>{});
}
template <class Run>
void with_number(const Conv2d& p, DType dtype, const Run& run) {
  if (dtype == DType::float32 && p.precision == Precision::medium) return run(Tf32{});
  with_transposable_number(p, dtype, run);
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

// An operand of a product, and the memory it is packed in, unless it is an array itself. Sizes count 16 bits.
struct Packed {
  std::int64_t padded, group, groups, plane;  // channels of a group, filled up; a group, how many, and a plane
  const Bits* data = nullptr;
  std::unique_ptr<DeviceScratch<Bits>> memory = nullptr;

  Packed(std::int64_t padded_, std::int64_t group_, std::int64_t groups_)
      : padded(padded_), group(group_), groups(groups_), plane(groups_ * group_) {}

  Bits* allocate(int planes) {
    memory = std::make_unique<DeviceScratch<Bits>>(planes * plane);
    data = memory->data();
    return memory->data();
  }
};

// As many images of groups × channels planes.
template <class Number>
Packed pack_images(std::int64_t images, std::int64_t groups, std::int64_t channels, std::int64_t image_plane,
                   const void* from) {
  const std::int64_t padded = whole_octets(channels * width_of<Number>), positions = images * image_plane;
  Packed packed(padded, positions * padded, groups);
  if (is_packed<Number> && image_plane == 1 && groups == 1 && padded == channels && is_aligned(from)) {
    packed.data = static_cast<const Bits*>(from);
    return packed;
  }
  Bits* to = packed.allocate(Number::planes);
  if (packed.plane == 0) return packed;
  int octets = 8;
  while (octets > padded / octet) octets /= 2;
  const std::int64_t count = threads_per_block / octets;
  const Grid grid{static_cast<unsigned>((positions + count - 1) / count),
                  static_cast<unsigned>((padded / octet + octets - 1) / octets), static_cast<unsigned>(groups)};
  launch(pack_images_kernel<Number>, grid, threads_per_block, std::size_t{0}, int(channels), int(image_plane),
         int(positions), int(padded), octets, static_cast<const typename Number::Stored*>(from), to);
  return packed;
}

// x as the convolution `unfolded`, with_rows_unfolded(p), takes it.
template <class Number>
Packed pack_x(const Conv2d& p, const Conv2d& unfolded, const void* x) {
  const Axis &h = p.window.h, &w = p.window.w;
  if (unfolded.window.w.kernel == w.kernel) {
    return pack_images<Number>(p.N, p.groups, p.group_channels(), h.input * w.input, x);
  }
  const std::int64_t padded = whole_octets(unfolded.C * width_of<Number>);
  Packed packed(padded, p.N * h.input * w.output * padded, 1);
  Bits* to = packed.allocate(Number::planes);
  launch_elements(unfold_rows_kernel<Number>, packed.plane / octet, int(packed.plane / octet), int(p.C), int(h.input),
                  w, int(padded), static_cast<const typename Number::Stored*>(x), to);
  return packed;
}

// dy as the gradients take it.
template <class Number>
Packed pack_dy(const Conv2d& p, const void* dy) {
  return pack_images<Number>(p.N, p.groups, p.group_filters(), p.window.h.output * p.window.w.output, dy);
}

// `folded`: how many neighbours in the row are channels.
template <class Number>
Packed pack_weights(const Conv2d& p, const void* weight, std::int64_t folded) {
  const std::int64_t channels = p.group_channels(), padded = whole_octets(channels * width_of<Number>);
  Packed packed(padded, p.group_filters() * p.taps() * padded, p.groups);
  if (is_packed<Number> && p.taps() == 1 && padded == channels && is_aligned(weight)) {
    packed.data = static_cast<const Bits*>(weight);
    return packed;
  }
  Bits* to = packed.allocate(Number::planes);
  const std::int64_t count = packed.plane / width_of<Number>;
  launch_elements(pack_weights_kernel<Number>, count, int(count), int(channels), int(p.taps()), int(folded),
                  int(padded / width_of<Number>), static_cast<const typename Number::Stored*>(weight),
                  reinterpret_cast<typename Number::Part*>(to));
  return packed;
}

// The row that neighbours were taken from to be channels: element place·step + tap·tap_step − pad of `size`.
struct UnfoldedRow {
  int taps = 1, step = 0, tap_step = 0, pad = 0, size = 1;
};

// One axis of a product: place q lies at first + q·step of the image, tap t at shift + t·shift_step from there, and the
// result of place q at out_first + q·out_step.
struct ProductAxis {
  int places, first, step, taps, shift, shift_step, out_first, out_step;

  // As a map has it: the positions with the lowest shift.
  __device__ __host__ int lowest_shift() const { return shift_step < 0 ? shift + (taps - 1) * shift_step : shift; }
  __device__ __host__ MapAxis mapped() const { return {first + lowest_shift(), step, places}; }
  __device__ int shift_at(int tap) const { return shift + tap * shift_step; }
  bool can_map(std::int64_t size) const {
    return taps > 0 && cuda::can_map(mapped(), size, (taps - 1) * std::abs(shift_step));
  }
};

ProductAxis forward_axis(const Axis& axis) {
  return {int(axis.output), -int(axis.pad_start), int(axis.stride), int(axis.kernel), 0, int(axis.dilation), 0, 1};
}

UnfoldedRow unfolded_row(const Conv2d& given, const Conv2d& unfolded) {
  const Axis& w = given.window.w;
  if (unfolded.window.w.kernel == w.kernel) return {};
  return {int(w.kernel), int(w.stride), int(w.dilation), int(w.pad_start), int(w.input)};
}

ProductAxis backward_axis(const Axis& axis, const Phase& phase) {
  // Divisible, as the taps of this phase are.
  const int stride = int(axis.stride), dilation = int(axis.dilation);
  const int shift = (phase.first + int(axis.pad_start) - phase.first_tap * dilation) / stride;
  return {phase.count, 0, 1, phase.taps, shift, -(phase.tap_step * dilation) / stride, phase.first, stride};
}

// An image whose channels lie side by side, and the places and shifts on it. Like offsets, channels count 16 bits.
struct PackedView {
  int height, width, channels;  // of a group, filled up
  ProductAxis h, w;
  UnfoldedRow row = {};

  __device__ Place at(int offset, int y, int x, int a) const { return {offset + (y * width + x) * channels, y, x, a}; }
  // Not so where an unfolded row had to go beyond its ends.
  __device__ bool meets(const Place& place, int number, int width) const {
    const int channel = number % channels / width;
    const int at = place.w * row.step + channel % row.taps * row.tap_step - row.pad;
    return at >= 0 && at < row.size;
  }
  __device__ Place place_at(int position) const {
    const int x = position % w.places, y = position / w.places % h.places, n = position / w.places / h.places;
    return at(n * height * width * channels, h.first + y * h.step, w.first + x * w.step, 0);
  }
  // The octet that begins there in the order of taps and channels.
  __device__ Place shift_at(int first) const {
    const int c = first % channels, s = first / channels % w.taps, r = first / channels / w.taps;
    return at(c, h.shift_at(r), w.shift_at(s), first);
  }
};

// A product of two packed operands, one with such a view.
struct PackedOperands : PackedView {
  int rows, columns, depth;
  const Bits *a, *b;
  std::int64_t a_plane, b_plane;  // distances of the planes
  int a_group, b_group, a_padded;
  int groups, group = 0;
  int images;  // of a group

  PackedOperands(const PackedView& view, std::int64_t images_, const Packed& left, const Packed& right, int rows_,
                 int columns_, int depth_)
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
        a_padded(int(left.padded)),
        groups(int(left.groups)),
        images(int(images_)) {}

  __device__ void begin(int group_) {
    group = group_;
    a += group * a_group;
    b += group * b_group;
  }

  // For the kernel whose operands the copy unit brings.
  bool can_map(int /*planes*/) const {
    return channels % 64 == 0 && h.can_map(height) && w.can_map(width) && cuda::can_map(a_plane * 2) &&
           cuda::can_map(b_plane * 2);
  }
  template <class T>
  TensorMap map_b() const {
    return map_positions(b, {channels, width, height, T::planes * groups * images}, w.mapped(), h.mapped(),
                         T::B::lines);
  }
  template <class T>
  __device__ void copy_b(Shared<Bits> to, const TensorMap& map, Shared<PhaseBarrier> barrier, int plane, int d,
                         int j) const {
    const int position = T::b_across ? d : j;
    const int x = position % w.places, y = position / w.places % h.places, n = position / w.places / h.places;
    for (int column = 0; column < (T::b_across ? T::columns / 64 : 1); ++column) {
      // Of columns those behind the last one are not stored, but bytes are expected for them.
      const int first = T::b_across ? min(j + column * 64, columns - 64) : d;
      const int c = first % channels, s = first / channels % w.taps, r = first / channels / w.taps;
      copy_positions_async(to + column * T::B::lines * 64, map, barrier, c, w.mapped().first + x * w.step,
                           h.mapped().first + y * h.step, (plane * groups + group) * images + n,
                           w.shift_at(s) - w.lowest_shift(), h.shift_at(r) - h.lowest_shift());
    }
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
      : PackedOperands(view, images, weights, source, rows_, int(images) * view.h.places * view.w.places,
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
  template <class T>
  TensorMap map_a() const {
    const MapSizes sizes = {this->channels, this->depth / this->channels, this->rows, T::planes * this->groups};
    return map_lines(this->a, sizes, 2, T::A::lines);
  }
  template <class T>
  __device__ void copy_a(Shared<Bits> to, const TensorMap& map, Shared<PhaseBarrier> barrier, int plane, int d,
                         int i) const {
    copy_lines_async(to, map, barrier, d % this->channels, d / this->channels, i, plane * this->groups + this->group);
  }
  __device__ void store(int i, int out, float sum) const {
    const float biased = bias ? sum + Number::widen(bias[i]) : sum;
    this->result[out + i * this->out_plane] = Number::round(activate(biased, activation.kind, activation.alpha));
  }
};

// Weights are packed as for the forward pass, and lie across the depth. Those of TF32 are turned around while they are
// packed: to a row of every channel, of which a phase takes some taps.
template <class Number>
struct BackwardData : PlaneProduct<Number> {
  static constexpr bool a_across = !std::is_same_v<Number, Tf32>;
  int filters;         // of a group
  int taps, kernel_w;  // of the whole kernel
  Phase phase_h, phase_w;

  using PlaneProduct<Number>::PlaneProduct;

  static Packed pack(const Conv2d& p, const void* weight) {
    if (a_across) return pack_weights<Number>(p, weight, 1);
    return pack_images<Number>(1, p.groups, p.group_filters(), p.group_channels() * p.taps(), weight);
  }

  // Of the taps of a phase the one that comes there.
  __device__ int tap_at(int t) const {
    const int s = phase_w.first_tap + t % phase_w.taps * phase_w.tap_step;
    const int r = phase_h.first_tap + t / phase_w.taps * phase_h.tap_step;
    return r * kernel_w + s;
  }
  __device__ Place shift_at(int first) const {
    Place shift = PlaneProduct<Number>::shift_at(first);
    if (!a_across) shift.a = tap_at(first / this->channels) * this->a_padded + first % this->channels;
    return shift;
  }
  // A filter and tap, in the order of shift_at, or all of a channel.
  __device__ int a_at(int line) const {
    if (!a_across) return line * taps * this->a_padded;
    const int k = line % this->channels, t = line / this->channels;
    return k < filters ? (k * taps + tap_at(t)) * this->a_padded : -1;
  }
  template <class T>
  TensorMap map_a() const {
    const MapSizes sizes = {this->a_padded, taps, a_across ? filters : this->rows, T::planes * this->groups};
    return map_lines(this->a, sizes, 2, T::A::lines);
  }
  template <class T>
  __device__ void copy_a(Shared<Bits> to, const TensorMap& map, Shared<PhaseBarrier> barrier, int plane, int d,
                         int i) const {
    const int k = d % this->channels, tap = tap_at(d / this->channels), group = plane * this->groups + this->group;
    if constexpr (a_across) {
      for (int column = 0; column < T::rows / 64; ++column) {
        copy_lines_async(to + column * T::A::lines * 64, map, barrier, i + column * 64, tap, k, group);
      }
    } else {
      copy_lines_async(to, map, barrier, k, tap, i, group);
    }
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
      : PackedOperands(view, p.N, gradients, images, int(p.group_filters()), int(p.taps()) * view.channels,
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

  // Behind the last position come zeros only where no other group or plane follows.
  bool can_map(int planes) const {
    return PackedOperands::can_map(planes) && (depth % 64 == 0 || groups * planes == 1);
  }
  template <class T>
  TensorMap map_a() const {
    return map_lines(a, {a_padded, depth, T::planes * groups, 1}, 1, T::A::lines);
  }
  template <class T>
  __device__ void copy_a(Shared<Bits> to, const TensorMap& map, Shared<PhaseBarrier> barrier, int plane, int d,
                         int i) const {
    for (int column = 0; column < T::rows / 64; ++column) {
      copy_lines_async(to + column * T::A::lines * 64, map, barrier, i + column * 64, d, plane * groups + group, 0);
    }
  }
  __device__ int out_at(int j) const {
    const int c = j % channels, tap = j / channels;
    return c < group_channels ? (c / folded * kernel_taps + tap) * folded + c % folded : -1;
  }
  __device__ void store(int i, int out, float sum) const {
    if (out >= 0) dweight[i * group_channels * kernel_taps + out] = sum;
  }
};

template <class Number, class Problem>
GemmPlan plan(const Problem& problem, const Conv2d& p, bool may_split) {
  TileKind kind = TileKind::warps;
  if (may_use_warpgroups() && has_warpgroup_products()) {
    kind = !problem.can_map(Number::planes) ? TileKind::warpgroups
           : Number::planes == 1            ? TileKind::mapped_wide
                                            : TileKind::mapped;
  }
  // One of TF32 takes as long as two of 16 bits.
  constexpr int products = std::is_same_v<Number, Tf32> ? 2 : Number::planes * (Number::planes + 1) / 2;
  return plan_gemm({problem.rows, problem.columns, problem.depth, p.groups, may_split, kind, products},
                   multiprocessors());
}

}  // namespace

bool uses_packed(const Conv2d& p, DType dtype) {
  if (!has_tf32() || has_few_channels(p)) return false;
  const Conv2d whole = with_whole_octets(with_rows_unfolded(p));
  if (!fits_32_bits(p) || !fits_32_bits(with_whole_octets(p)) || !fits_32_bits(whole)) return false;
  if (dtype != DType::float32) return true;
  // One of TF32 takes as long as two of bfloat16.
  const int products = p.precision == Precision::medium ? 2 : p.precision == Precision::high ? 3 : 6;
  const std::int64_t numbers = whole.x_count() + whole.y_count() + whole.weight_count();
  return packing_pays({p.y_count(), p.group_channels() * p.taps(), numbers, products}, multiprocessors());
}

void conv2d_forward_packed(const Conv2d& given, Reals x, Reals weight, Reals bias, RealResults y) {
  const Conv2d p = with_rows_unfolded(given);
  const Axis &h = p.window.h, &w = p.window.w;
  with_number(p, x.dtype, [&](auto number) {
    using Number = decltype(number);
    const Packed images = pack_x<Number>(given, p, x.data);
    const Packed weights = pack_weights<Number>(p, weight.data, given.window.w.kernel / w.kernel);
    const PackedView view{int(h.input),    int(w.input),    int(images.padded),
                          forward_axis(h), forward_axis(w), unfolded_row(given, p)};
    Forward<Number> problem(view, p.N, weights, images, int(p.group_filters()), h.output, w.output, p.K, y.data);
    problem.bias = static_cast<const typename Number::Stored*>(bias.data);
    problem.activation = p.activation;
    packed_gemm<Number>(problem, int(p.groups), plan<Number>(problem, p, false));
  });
}

void conv2d_backward_data_packed(const Conv2d& p, Reals dy, Reals weight, RealResults dx) {
  const Axis &h = p.window.h, &w = p.window.w;
  with_number(p, dy.dtype, [&](auto number) {
    using Number = decltype(number);
    const Packed images = pack_dy<Number>(p, dy.data), weights = BackwardData<Number>::pack(p, weight.data);
    if (!meets_all(h) || !meets_all(w)) fill_zero(dx.data, p.x_count() * sizeof(typename Number::Stored));
    for (std::int64_t first_h : met_phases(h)) {
      for (std::int64_t first_w : met_phases(w)) {
        const Phase along_h = make_phase(h, first_h), along_w = make_phase(w, first_w);
        const PackedView view{int(h.output), int(w.output), int(images.padded), backward_axis(h, along_h),
                              backward_axis(w, along_w)};
        BackwardData<Number> problem(view, p.N, weights, images, int(p.group_channels()), h.input, w.input, p.C,
                                     dx.data);
        problem.filters = int(p.group_filters());
        problem.taps = int(p.taps());
        problem.kernel_w = int(w.kernel);
        problem.phase_h = along_h;
        problem.phase_w = along_w;
        packed_gemm<Number>(problem, int(p.groups), plan<Number>(problem, p, false));
      }
    }
  });
}

void conv2d_backward_weight_packed(const Conv2d& given, Reals dy, Reals x, RealResults dweight) {
  const Conv2d p = with_rows_unfolded(given);
  const Axis &h = p.window.h, &w = p.window.w;
  with_transposable_number(p, x.dtype, [&](auto number) {
    using Number = decltype(number);
    const Packed gradients = pack_dy<Number>(p, dy.data), images = pack_x<Number>(given, p, x.data);
    const PackedView view{int(h.input),    int(w.input),    int(images.padded),
                          forward_axis(h), forward_axis(w), unfolded_row(given, p)};
    BackwardWeight problem(p, given.window.w.kernel / w.kernel, view, gradients, images);
    const GemmPlan cut = plan<Number>(problem, p, true);
    in_float32(dweight, problem.elements, [&](float* result) {
      sum_splits(cut, problem.elements, result, [&](float* to) {
        problem.dweight = to;
        packed_gemm<Number>(problem, int(p.groups), cut);
      });
    });
  });
}

}  // namespace dip::cuda
