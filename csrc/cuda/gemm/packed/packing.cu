// Packing on the GPU.
#include "cuda/gemm/packed/packing.h"

namespace dip::cuda {
namespace {

std::int64_t whole_octets(std::int64_t channels) {
  return (channels + octet - 1) / octet * octet;
}

// Float16 and bfloat16 are packed alike: as their bits.
template <class Run>
auto with_packed_number(PackedAs number, const Run& run) {
  switch (number) {
    case PackedAs::stored: return run(AsStored<Bfloat>{});
    case PackedAs::tf32: return run(Tf32{});
    case PackedAs::two_parts: return run(SplitFloat<2>{});
    default: return run(SplitFloat<3>{});
  }
}

// Of a number as it is packed, how many 16 bits in a part, and how many parts.
std::int64_t width(PackedAs number) {
  return with_packed_number(number, [](auto as) { return width_of<decltype(as)>; });
}
int parts(PackedAs number) {
  return with_packed_number(number, [](auto as) { return decltype(as)::parts; });
}

// Where an array has its numbers as they are packed, one beside the other.
bool lies_packed(PackedAs number, std::int64_t channels, const void* from) {
  return number == PackedAs::stored && channels % octet == 0 && is_octet_aligned(from);
}

// The word that starts with this number: two of 16 bits, or one of 32.
__device__ unsigned word_at(const std::uint16_t* number) {
  return number[0] | static_cast<unsigned>(number[1]) << 16;
}
__device__ unsigned word_at(const std::uint32_t* number) {
  return *number;
}

// An octet of each part, from as many numbers.
template <class Number>
struct PackedOctet {
  static constexpr int count = octet / width_of<Number>;
  typename Number::Part split[Number::parts][count];

  __device__ void set(int which, typename Number::Stored x) {
    typename Number::Part number[Number::parts];
    Number::pack(x, number);
#pragma unroll
    for (int part = 0; part < Number::parts; ++part) split[part][which] = number[part];
  }
  __device__ void store(Bits* to, std::int64_t part_size) const {
#pragma unroll
    for (int part = 0; part < Number::parts; ++part) {
      Octet result;
#pragma unroll
      for (int word = 0; word < 4; ++word) result.words[word] = word_at(split[part] + word * count / 4);
      *reinterpret_cast<Octet*>(to + part * part_size) = result;
    }
  }
};

// Numbers side by side, loaded at once.
template <class Stored, int count>
struct alignas(sizeof(Stored) * count) Neighbours {
  Stored at[count];
};

// to[part][group][image][position][channel, filled up with zeros to `padded` · 16 bits] from images of groups ×
// channels planes. A thread loads from each channel of an octet as many positions as 16 bytes hold, `step` at once, and
// turns them around in its registers; neighbouring threads share what lies beside it in both arrays.
template <class Number, int step>
__global__ void pack_images_kernel(int channels, int image_plane, int images, int padded, int octets,
                                   const typename Number::Stored* from, Bits* to) {
  using Stored = typename Number::Stored;
  constexpr int count = PackedOctet<Number>::count, run = 16 / sizeof(Stored);
  const int runs = (image_plane + run - 1) / run, groups = static_cast<int>(gridDim.z);
  const int group = static_cast<int>(blockIdx.z), which = static_cast<int>(threadIdx.x) / octets;
  const int at_run = static_cast<int>(blockIdx.x) * (threads_per_block / octets) + which;
  const int at_octet = static_cast<int>(blockIdx.y) * octets + static_cast<int>(threadIdx.x) % octets;
  const int image = at_run / runs, first = (at_run - image * runs) * run, channel = at_octet * count;
  if (image >= images || at_octet * octet >= padded) return;
  const Stored* lines = from + ((image * groups + group) * channels + channel) * image_plane + first;
  Neighbours<Stored, step> loaded[count][run / step];
#pragma unroll
  for (int c = 0; c < count; ++c) {
#pragma unroll
    for (int k = 0; k < run / step; ++k) {
      loaded[c][k] = {};
      if (channel + c < channels && first + k * step < image_plane) {
        loaded[c][k] = *reinterpret_cast<const Neighbours<Stored, step>*>(lines + c * image_plane + k * step);
      }
    }
  }
  const std::int64_t part_size = static_cast<std::int64_t>(groups) * images * image_plane * padded;
  Bits* row = to + ((group * images + image) * image_plane + first) * padded + at_octet * octet;
#pragma unroll
  for (int k = 0; k < run; ++k) {
    if (first + k >= image_plane) return;
    PackedOctet<Number> result;
#pragma unroll
    for (int c = 0; c < count; ++c) result.set(c, loaded[c][k / step].at[k % step]);
    result.store(row + k * padded, part_size);
  }
}

// x of which a convolution with `width` taps in a row takes so many neighbours for channels: to[part][image][row of x]
// [column of the result][channel and tap, filled up with zeros].
template <class Number>
__global__ void unfold_rows_kernel(int count, int channels, int height, Axis w, int padded,
                                   const typename Number::Stored* from, Bits* to) {
  using Stored = typename Number::Stored;
  constexpr int numbers = PackedOctet<Number>::count;
  const int octets = padded / octet, columns = static_cast<int>(w.output), taps = static_cast<int>(w.kernel);
  for (int e = static_cast<int>(first_element()); e < count; e += static_cast<int>(element_step())) {
    const int column = e % columns, which = e / columns % octets, row = e / columns / octets;  // of all images
    const int start = column * static_cast<int>(w.stride) - static_cast<int>(w.pad_start);
    PackedOctet<Number> result;
    for (int k = 0; k < numbers; ++k) {
      const int c = (which * numbers + k) / taps;
      const int at = start + (which * numbers + k) % taps * static_cast<int>(w.dilation);
      const bool inside = c < channels && at >= 0 && at < w.input;
      const int line = (row / height * channels + c) * height + row % height;
      result.set(k, inside ? from[line * static_cast<int>(w.input) + at] : Stored{});
    }
    result.store(to + (row * columns + column) * padded + which * octet, static_cast<std::int64_t>(count) * octet);
  }
}

// to[part][filter][tap][channel, filled up with zeros] from [filter][channel / folded][tap][channel % folded].
template <class Number>
__global__ void pack_weights_kernel(int count, int channels, int taps, int folded, int padded,
                                    const typename Number::Stored* from, typename Number::Part* to) {
  for (int at = static_cast<int>(first_element()); at < count; at += static_cast<int>(element_step())) {
    const int c = at % padded, tap = at / padded % taps, k = at / padded / taps;
    typename Number::Part split[Number::parts];
    const int at_channel = (k * (channels / folded) + c / folded) * taps + tap;
    Number::pack(c < channels ? from[at_channel * folded + c % folded] : typename Number::Stored{}, split);
    for (int part = 0; part < Number::parts; ++part) to[part * static_cast<std::int64_t>(count) + at] = split[part];
  }
}

}  // namespace

Conv2d with_whole_octets(Conv2d p) {
  p.C = p.groups * whole_octets(p.group_channels());
  p.K = p.groups * whole_octets(p.group_filters());
  return p;
}

Conv2d with_rows_unfolded(Conv2d p) {
  Axis& w = p.window.w;
  if (p.groups > 1 || p.C >= octet || w.kernel == 1) return p;
  p.C *= w.kernel;
  w.input = w.output;
  w.kernel = w.stride = w.dilation = 1;
  w.pad_start = w.pad_end = 0;
  return p;
}

Packed pack_images(PackedAs number, std::int64_t images, std::int64_t groups, std::int64_t channels,
                   std::int64_t image_plane, const void* from) {
  const std::int64_t padded = whole_octets(channels * width(number));
  Packed packed(padded, images * image_plane * padded, groups);
  if (image_plane == 1 && groups == 1 && lies_packed(number, channels, from)) {
    packed.data = static_cast<const Bits*>(from);
    return packed;
  }
  Bits* to = packed.allocate(parts(number));
  if (packed.part_size == 0) return packed;
  int octets = 8;
  while (octets > padded / octet) octets /= 2;
  with_packed_number(number, [&](auto as) {
    using Number = decltype(as);
    using Stored = typename Number::Stored;
    constexpr int run = 16 / sizeof(Stored);
    const std::int64_t runs = images * ((image_plane + run - 1) / run), count = threads_per_block / octets;
    const Grid grid{static_cast<unsigned>((runs + count - 1) / count),
                    static_cast<unsigned>((padded / octet + octets - 1) / octets), static_cast<unsigned>(groups)};
    const auto pack = [&](auto kernel) {
      launch(kernel, grid, threads_per_block, std::size_t{0}, int(channels), int(image_plane), int(images), int(padded),
             octets, static_cast<const Stored*>(from), to);
    };
    const auto loads = [&](std::int64_t step) {
      return image_plane % step == 0 && reinterpret_cast<std::uintptr_t>(from) % (step * sizeof(Stored)) == 0;
    };
    if (loads(run)) return pack(pack_images_kernel<Number, run>);
    if (loads(run / 2)) return pack(pack_images_kernel<Number, run / 2>);
    pack(pack_images_kernel<Number, 1>);
  });
  return packed;
}

Packed pack_x(PackedAs number, const Conv2d& p, const Conv2d& unfolded, const void* x) {
  const Axis &h = p.window.h, &w = p.window.w;
  if (unfolded.window.w.kernel == w.kernel) {
    return pack_images(number, p.N, p.groups, p.group_channels(), h.input * w.input, x);
  }
  const std::int64_t padded = whole_octets(unfolded.C * width(number));
  Packed packed(padded, p.N * h.input * w.output * padded, 1);
  Bits* to = packed.allocate(parts(number));
  with_packed_number(number, [&](auto as) {
    using Number = decltype(as);
    launch_elements(unfold_rows_kernel<Number>, packed.part_size / octet, int(packed.part_size / octet), int(p.C),
                    int(h.input), w, int(padded), static_cast<const typename Number::Stored*>(x), to);
  });
  return packed;
}

Packed pack_dy(PackedAs number, const Conv2d& p, const void* dy) {
  return pack_images(number, p.N, p.groups, p.group_filters(), p.window.h.output * p.window.w.output, dy);
}

Packed pack_weights(PackedAs number, const Conv2d& p, const void* weight, std::int64_t folded) {
  const std::int64_t channels = p.group_channels(), padded = whole_octets(channels * width(number));
  Packed packed(padded, p.group_filters() * p.taps() * padded, p.groups);
  if (p.taps() == 1 && lies_packed(number, channels, weight)) {
    packed.data = static_cast<const Bits*>(weight);
    return packed;
  }
  Bits* to = packed.allocate(parts(number));
  const std::int64_t count = packed.part_size / width(number);
  with_packed_number(number, [&](auto as) {
    using Number = decltype(as);
    launch_elements(pack_weights_kernel<Number>, count, int(count), int(channels), int(p.taps()), int(folded),
                    int(padded / width(number)), static_cast<const typename Number::Stored*>(weight),
                    reinterpret_cast<typename Number::Part*>(to));
  });
  return packed;
}

}  // namespace dip::cuda
