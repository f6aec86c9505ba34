// How convolutions are packed: x and dy with the channels of a position side by side, weights with those of a tap,
// float32 split into parts of bfloat16. What lies so already, 1×1 images and weights of 16 bits, is read in place. Few
// channels, as photographs have, are joined by their neighbours in the row.
#pragma once

#include "cuda/gemm/packed/numbers.h"
#include "cuda/gemm/packed/operand.h"

namespace dip::cuda {

inline std::int64_t whole_octets(std::int64_t channels) {
  return (channels + octet - 1) / octet * octet;
}

// With the channels and filters of every group filled up.
inline Conv2d with_whole_octets(Conv2d p) {
  p.C = p.groups * whole_octets(p.group_channels());
  p.K = p.groups * whole_octets(p.group_filters());
  return p;
}

// Whether arrays have numbers as they are packed.
template <class Number>
constexpr bool is_packed = sizeof(typename Number::Stored) == sizeof(Bits);

inline bool is_aligned(const void* data) {
  return reinterpret_cast<std::uintptr_t>(data) % sizeof(Octet) == 0;
}

// The word that starts with this number: two of 16 bits, or one of 32.
__device__ inline unsigned word_at(const std::uint16_t* number) {
  return number[0] | static_cast<unsigned>(number[1]) << 16;
}
__device__ inline unsigned word_at(const std::uint32_t* number) {
  return *number;
}

// to[part][group][image and position][channel, filled up with zeros to `padded` · 16 bits] from images of groups ×
// channels planes. A block turns around a piece of so many octets of channels and as many positions as make 256 octets.
template <class Number>
__global__ void pack_images_kernel(int channels, int image_plane, int positions, int padded, int octets,
                                   const typename Number::Stored* from, Bits* to) {
  using Stored = typename Number::Stored;
  using Part = typename Number::Part;
  constexpr int parts = Number::parts, numbers_a_word = 2 / width_of<Number>;
  const int words_across = octets * 4, pitch = words_across + 1;  // the 1 puts neighbours into different banks
  const int count = threads_per_block / octets, groups = static_cast<int>(gridDim.z);
  const int group = static_cast<int>(blockIdx.z);
  const int first = static_cast<int>(blockIdx.x) * count, first_octet = static_cast<int>(blockIdx.y) * octets;
  constexpr int words_a_part = threads_per_block * (4 + 1);
  constexpr int all_words = parts * words_a_part;
  DIP_SHARED_ARRAY(unsigned, words, all_words);
  for (int e = static_cast<int>(threadIdx.x); e < count * words_across; e += threads_per_block) {
    const int position = first + e % count, c = (first_octet * 4 + e / count) * numbers_a_word;
    const int image = position / image_plane;
    const Stored* at = from + ((image * groups + group) * channels + c) * image_plane + position % image_plane;
    Part split[parts][numbers_a_word];
    for (int k = 0; k < numbers_a_word; ++k) {
      Part number[parts];
      Number::pack(position < positions && c + k < channels ? at[k * image_plane] : Stored{}, number);
      for (int part = 0; part < parts; ++part) split[part][k] = number[part];
    }
    for (int part = 0; part < parts; ++part) {
      words[part * words_a_part + e % count * pitch + e / count] = word_at(split[part]);
    }
  }
  __syncthreads();
  const int place = static_cast<int>(threadIdx.x) / octets, at = static_cast<int>(threadIdx.x) % octets;
  const int offset = (first_octet + at) * octet;
  if (first + place >= positions || offset >= padded) return;
  for (int part = 0; part < parts; ++part) {
    Octet result;
    for (int word = 0; word < 4; ++word) {
      result.words[word] = words[part * words_a_part + place * pitch + at * 4 + word];
    }
    Bits* row =
        to + (part * static_cast<std::int64_t>(groups) * positions + group * positions + first + place) * padded;
    *reinterpret_cast<Octet*>(row + offset) = result;
  }
}

// x of which a convolution with `width` taps in a row takes so many neighbours for channels: to[part][image][row of x]
// [column of the result][channel and tap, filled up with zeros].
template <class Number>
__global__ void unfold_rows_kernel(int count, int channels, int height, Axis w, int padded,
                                   const typename Number::Stored* from, Bits* to) {
  using Stored = typename Number::Stored;
  using Part = typename Number::Part;
  constexpr int parts = Number::parts, numbers = octet / width_of<Number>;  // of an octet
  const int octets = padded / octet, columns = static_cast<int>(w.output), taps = static_cast<int>(w.kernel);
  for (int e = static_cast<int>(first_element()); e < count; e += static_cast<int>(element_step())) {
    const int column = e % columns, which = e / columns % octets, row = e / columns / octets;  // of all images
    const int start = column * static_cast<int>(w.stride) - static_cast<int>(w.pad_start);
    Part split[parts][numbers];
    for (int k = 0; k < numbers; ++k) {
      const int c = (which * numbers + k) / taps;
      const int at = start + (which * numbers + k) % taps * static_cast<int>(w.dilation);
      const bool inside = c < channels && at >= 0 && at < w.input;
      const int line = (row / height * channels + c) * height + row % height;
      Part number[parts];
      Number::pack(inside ? from[line * static_cast<int>(w.input) + at] : Stored{}, number);
      for (int part = 0; part < parts; ++part) split[part][k] = number[part];
    }
    for (int part = 0; part < parts; ++part) {
      Octet result;
      for (int word = 0; word < 4; ++word) result.words[word] = word_at(split[part] + word * numbers / 4);
      Bits* to_row = to + part * (static_cast<std::int64_t>(count) * octet) + (row * columns + column) * padded;
      *reinterpret_cast<Octet*>(to_row + which * octet) = result;
    }
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

// The same convolution of an x whose rows are unfolded: the taps of a row are channels, and a row has as many positions
// as the result. Where channels are too few for an octet that fills it; elsewhere p itself.
inline Conv2d with_rows_unfolded(Conv2d p) {
  Axis& w = p.window.w;
  if (p.groups > 1 || p.C >= octet || w.kernel == 1) return p;
  p.C *= w.kernel;
  w.input = w.output;
  w.kernel = w.stride = w.dilation = 1;
  w.pad_start = w.pad_end = 0;
  return p;
}

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
  Bits* to = packed.allocate(Number::parts);
  if (packed.part_size == 0) return packed;
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
  Bits* to = packed.allocate(Number::parts);
  launch_elements(unfold_rows_kernel<Number>, packed.part_size / octet, int(packed.part_size / octet), int(p.C),
                  int(h.input), w, int(padded), static_cast<const typename Number::Stored*>(x), to);
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
  Bits* to = packed.allocate(Number::parts);
  const std::int64_t count = packed.part_size / width_of<Number>;
  launch_elements(pack_weights_kernel<Number>, count, int(count), int(channels), int(p.taps()), int(folded),
                  int(padded / width_of<Number>), static_cast<const typename Number::Stored*>(weight),
                  reinterpret_cast<typename Number::Part*>(to));
  return packed;
}

}  // namespace dip::cuda
