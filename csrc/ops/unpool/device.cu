// Unpooling and upsampling on the GPU: one result a thread, but for the scattering, where a block fills part of a
// plane.
#include <algorithm>
#include <climits>

#include "core/check.h"
#include "cuda/divisor.h"
#include "cuda/half.h"
#include "cuda/long_sum.h"
#include "cuda/value_check.h"
#include "cuda/window.h"
#include "ops/unpool/unpool.h"

namespace dip::cuda {
namespace {

// y[indices[i]] += x[i] in the order of i, although threads come in none. First each input is linked into the list of
// its element: heads[e] is 1 + the last that came, next[i] 1 + the one before it, 0 the end. Then each element adds the
// inputs of its list, always the first of those that are left: the lists of pooling are as short as windows overlap.
template <class Heads, class Next>
struct Lists {
  Heads heads;
  Next next;

  // Beyond so many inputs the whole block adds them, in float64.
  static constexpr int longest = 64;

  // Of inputs in any order; INT_MAX stands for none.
  template <class Read>
  __device__ static float sum_of_four(int a, int b, int c, int d, const Read& read) {
    sort(a, b);
    sort(c, d);
    sort(a, c);
    sort(b, d);
    sort(b, c);
    float sum = 0.0f + read(a - 1);
    sum += read(b - 1);
    if (c < INT_MAX) sum += read(c - 1);
    return d < INT_MAX ? sum + read(d - 1) : sum;
  }
  __device__ static void sort(int& a, int& b) {
    const int larger = a < b ? b : a;
    a = a < b ? a : b;
    b = larger;
  }

  // Of an element's list.
  __device__ bool is_long(int head) const {
    int count = 0;
    for (int at = head; at > 0 && count <= longest; at = next[at - 1]) ++count;
    return count > longest;
  }

  // The sum of a list that is not long.
  template <class Read>
  __device__ float sum(int head, const Read& read) const {
    const int second = next[head - 1];
    if (second == 0) return 0.0f + read(head - 1);
    const int third = next[second - 1], fourth = third ? next[third - 1] : 0, fifth = fourth ? next[fourth - 1] : 0;
    if (fifth == 0) return sum_of_four(head, second, third ? third : INT_MAX, fourth ? fourth : INT_MAX, read);
    float sum = 0.0f;
    for (int last = 0;;) {
      int first = 0;
      for (int at = head; at > 0; at = next[at - 1]) {
        if (at > last && (first == 0 || at < first)) first = at;
      }
      if (first == 0) return sum;
      sum += read(first - 1);
      last = first;
    }
  }
};

// Of a plane: `size` elements from the lists, by the block. `x` and `indices` are the plane's `in` inputs, element `at`
// of y is the first, and `begin` its place in the plane.
template <class Heads, class Next>
__device__ void add_lists(const Lists<Heads, Next>& lists, int size, int in, Reals x, std::int64_t x_at,
                          const std::int32_t* indices, std::int64_t begin, RealResults y, std::int64_t at,
                          bool aligned) {
  const int first = static_cast<int>(threadIdx.x);
  const auto read_input = [&](int i) { return read(x, x_at + i); };
  bool any_long = false;
  const auto element = [&](int head) {
    if (head == 0) return 0.0f;
    if (lists.is_long(head)) {
      any_long = true;
      return 0.0f;
    }
    return lists.sum(head, read_input);
  };
  const int fours = aligned ? size / 4 : 0;
  for (int four = first; four < fours; four += threads_per_block) {
    int heads[4];
    read_four(lists.heads + 4 * four, heads);
    write_four(y, at / 4 + four, {{element(heads[0]), element(heads[1]), element(heads[2]), element(heads[3])}});
  }
  for (int e = 4 * fours + first; e < size; e += threads_per_block) write(y, at + e, element(lists.heads[e]));
  if (!__syncthreads_or(any_long)) return;
  DIP_SHARED_ARRAY(double, partial, threads_per_block);
  for (int e = 0; e < size; ++e) {
    if (!lists.is_long(lists.heads[e])) continue;
    double own = 0.0;
    for (int i = first; i < in; i += threads_per_block) {
      if (indices[i] == begin + e) own += read_input(i);
    }
    __syncthreads();
    partial[first] = own;
    for (int half = threads_per_block / 2; half > 0; half /= 2) {
      __syncthreads();
      if (first < half) partial[first] += partial[first + half];
    }
    if (first == 0) write(y, at + e, static_cast<float>(static_cast<double>(partial[0])));
  }
}

// How blocks share planes: one has so many whole ones, or a `chunk` of the elements of one. Where each input's index is
// in its own window of `window_h` × `window_w` elements, as non-overlapping pooling leaves them, nothing need be
// listed. With `fills_windows` these are 2 × 2, all of a plane is in one, and a chunk has whole ones.
struct Scattering {
  int planes, planes_a_block, chunks, chunk, in, out, in_h, in_w, out_w;
  bool fills_windows;
  Divisor by_in, by_in_w, by_out, by_out_w, window_h, window_w;

  // Whether `index` is in the window of input i of its plane.
  __device__ bool is_in_window(int i, int index) const {
    int h = index;
    const int w = by_out_w.take_remainder(h), ow = by_in_w.take_remainder(i);
    return static_cast<unsigned>(h - i * static_cast<int>(window_h.divisor)) < window_h.divisor &&
           static_cast<unsigned>(w - ow * static_cast<int>(window_w.divisor)) < window_w.divisor;
  }

  // The input in whose window element e of the plane is; −1 where it is in none.
  __device__ int input_of(int e) const {
    int h = e;
    const int w = by_out_w.take_remainder(h), oh = window_h.quotient(h), ow = window_w.quotient(w);
    return oh < in_h && ow < in_w ? oh * in_w + ow : -1;
  }
};

// Fills the window of input i of a plane, which lies in y from element `at` on, up to a chunk that begins at `begin`.
__device__ inline void fill_window(const Scattering& p, int i, int begin, std::int32_t index, float value,
                                   RealResults y, std::int64_t at) {
  const int iw = p.by_in_w.take_remainder(i), corner = 2 * i * p.out_w + 2 * iw, place = index - corner;
  const std::int64_t first = at + corner - begin;
  write_two(y, first / 2, place == 0 ? value : 0.0f, place == 1 ? value : 0.0f);
  write_two(y, (first + p.out_w) / 2, place == p.out_w ? value : 0.0f, place == p.out_w + 1 ? value : 0.0f);
}

// A block looks at all inputs of its planes; where all are in their windows it fills the planes from them, and
// otherwise by lists in shared memory. Windows of 2 × 2 are filled while it looks.
__global__ void scatter_kernel(Scattering p, Reals x, const std::int32_t* indices, RealResults y, bool aligned,
                               Fault* fault) {
  const Shared<int> heads = dynamic_shared<int>(), next = heads + p.planes_a_block * p.chunk;
  const int first_plane = static_cast<int>(blockIdx.x) / p.chunks * p.planes_a_block;
  const int begin = static_cast<int>(blockIdx.x) % p.chunks * p.chunk, first = static_cast<int>(threadIdx.x);
  const int planes = min(p.planes_a_block, p.planes - first_plane), size = min(p.chunk, p.out - begin);
  const std::int64_t first_input = std::int64_t{first_plane} * p.in;
  const std::int32_t* of_block = indices + first_input;
  const std::int64_t at = std::int64_t{first_plane} * p.out + begin;
  std::int64_t wrong = -1;
  bool elsewhere = false;
  struct Input {
    std::int32_t index;
    float value;
  };
  const auto is_filled = [&](int of_plane) {
    return p.fills_windows && 4 * of_plane >= begin && 4 * of_plane < begin + size;
  };
  stream_elements(
      first, planes * p.in, threads_per_block,
      [&](int i) {
        const bool is_used = planes > 1 ? p.fills_windows : is_filled(i);
        return Input{of_block[i], is_used ? read(x, first_input + i) : 0.0f};
      },
      [&](int i, Input input) {
        int plane = i;
        const int of_plane = p.by_in.take_remainder(plane), index = input.index;
        if (index < 0 || index >= p.out) {
          wrong = wrong < 0 ? first_input + i : wrong;
          elsewhere = true;
        } else {
          elsewhere |= !p.is_in_window(of_plane, index);
        }
        if (is_filled(of_plane)) {
          fill_window(p, of_plane, begin, index, input.value, y, at + std::int64_t{plane} * p.out);
        }
      });
  if (!__syncthreads_or(elsewhere)) {
    if (p.fills_windows) return;
    const auto element = [&](int e) {
      int plane = e;
      const int of_plane = begin + p.by_out.take_remainder(plane), i = p.input_of(of_plane);
      if (i < 0 || of_block[plane * p.in + i] != of_plane) return 0.0f;
      return read(x, first_input + plane * p.in + i);
    };
    const int all = planes * size, fours = aligned ? all / 4 : 0;  // a chunk is of one plane
    for (int four = first; four < fours; four += threads_per_block) {
      const int e = 4 * four;
      write_four(y, at / 4 + four, {{element(e), element(e + 1), element(e + 2), element(e + 3)}});
    }
    for (int e = 4 * fours + first; e < all; e += threads_per_block) write(y, at + e, element(e));
    return;
  }
  for (int e = first; e < planes * p.chunk; e += threads_per_block) heads[e] = 0;
  __syncthreads();
  for (int i = first; i < planes * p.in; i += threads_per_block) {
    int plane = i;
    const int of_plane = p.by_in.take_remainder(plane), e = of_block[i] - begin;
    if (e >= 0 && e < size) next[i] = atomic_exchange(heads + (plane * p.chunk + e), of_plane + 1);
  }
  __syncthreads();
  for (int plane = 0; plane < planes; ++plane) {
    add_lists(Lists<Shared<int>, Shared<int>>{heads + plane * p.chunk, next + plane * p.in}, size, p.in, x,
              first_input + plane * p.in, of_block + plane * p.in, begin, y, at + std::int64_t{plane} * p.out, aligned);
  }
  report_first(wrong, [&](std::int64_t i) { return static_cast<double>(indices[i]); }, fault);
}

// With lists in memory, for planes of any size.
__global__ void link_kernel(std::int64_t count, std::int64_t in, std::int64_t out, const std::int32_t* indices,
                            int* heads, int* next, Fault* fault) {
  std::int64_t wrong = -1;
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t plane = i / in, index = indices[i];
    if (index < 0 || index >= out) {
      wrong = wrong < 0 ? i : wrong;
      continue;
    }
    next[i] = atomic_exchange(heads + plane * out + index, static_cast<int>(i - plane * in + 1));
  }
  report_first(wrong, [&](std::int64_t i) { return static_cast<double>(indices[i]); }, fault);
}

constexpr int linked_chunk = 4096;  // elements of a plane that a block adds

__global__ void add_linked_kernel(std::int64_t chunks, int in, std::int64_t out, Reals x, const std::int32_t* indices,
                                  const int* heads, const int* next, RealResults y, bool aligned) {
  const std::int64_t plane = blockIdx.x / chunks, begin = blockIdx.x % chunks * linked_chunk;
  const int size = static_cast<int>(out - begin < linked_chunk ? out - begin : linked_chunk);
  add_lists(Lists<const int*, const int*>{heads + plane * out + begin, next + plane * in}, size, in, x, plane * in,
            indices + plane * in, begin, y, plane * out + begin, aligned);
}

__global__ void gather_kernel(std::int64_t count, std::int64_t in, std::int64_t out, Reals dy,
                              const std::int32_t* indices, RealResults dx, Fault* fault) {
  std::int64_t wrong = -1;
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t index = indices[i];
    const bool inside = index >= 0 && index < out;
    if (!inside && wrong < 0) wrong = i;
    write(dx, i, inside ? read(dy, i / in * out + index) : 0.0f);
  }
  report_first(wrong, [&](std::int64_t i) { return static_cast<double>(indices[i]); }, fault);
}

__global__ void nearest_kernel(Nearest p, std::int64_t count, Reals x, RealResults y) {
  const auto at = [&](std::int64_t i) {
    const std::int64_t column = i % p.large_width, row = i / p.large_width % p.large_height;
    const std::int64_t plane = i / p.large_width / p.large_height;
    return read(x, (plane * p.height + row * p.height / p.large_height) * p.width + column * p.width / p.large_width);
  };
  stream_elements(count, at, [=](std::int64_t i, float value) { write(y, i, value); });
}

// The first of the large elements that are the small one's at `i`.
__device__ std::int64_t first_copy(std::int64_t i, std::int64_t small, std::int64_t large) {
  return (i * large + small - 1) / small;
}

__global__ void nearest_backward_kernel(Nearest p, std::int64_t count, Reals dy, RealResults dx) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    const std::int64_t w = i % p.width, h = i / p.width % p.height, plane = i / p.width / p.height;
    const std::int64_t bottom = first_copy(h + 1, p.height, p.large_height);
    const std::int64_t right = first_copy(w + 1, p.width, p.large_width);
    LongSum sum;
    for (std::int64_t row = first_copy(h, p.height, p.large_height); row < bottom; ++row) {
      for (std::int64_t column = first_copy(w, p.width, p.large_width); column < right; ++column) {
        sum.add(read(dy, (plane * p.large_height + row) * p.large_width + column));
      }
    }
    write(dx, i, sum.total());
  }
}

__global__ void nails_kernel(Nails p, std::int64_t count, Reals x, RealResults y) {
  const std::int64_t width = p.width * p.scale_w;
  const auto at = [&](std::int64_t i) {
    const std::int64_t column = i % width, row = i / width;
    const bool nail = column % p.scale_w == p.column && row % p.scale_h == p.row;
    return nail ? read(x, row / p.scale_h * p.width + column / p.scale_w) : 0.0f;
  };
  stream_elements(count, at, [=](std::int64_t i, float value) { write(y, i, value); });
}

__global__ void nails_backward_kernel(Nails p, std::int64_t count, Reals dy, RealResults dx) {
  const std::int64_t width = p.width * p.scale_w;
  const auto at = [&](std::int64_t i) {
    const std::int64_t column = i % p.width, row = i / p.width;
    return read(dy, (row * p.scale_h + p.row) * width + column * p.scale_w + p.column);
  };
  stream_elements(count, at, [=](std::int64_t i, float value) { write(dx, i, value); });
}

std::int64_t small_count(const Nails& p, std::int64_t planes) {
  return planes * p.height * p.width;
}
std::int64_t large_count(const Nails& p, std::int64_t planes) {
  return small_count(p, planes) * p.scale_h * p.scale_w;
}

}  // namespace

void scatter_planes(std::int64_t planes, Pair small, Pair large, Reals x, const std::int32_t* indices, RealResults y,
                    const Describe& describe) {
  // Shared memory holds 8,192 elements and a quarter as many inputs five times a multiprocessor.
  constexpr std::int64_t most_elements = 1 << 13, most_inputs = 1 << 13, elements_of_planes = 1 << 13;
  const std::int64_t in = small[0] * small[1], out = large[0] * large[1];
  check(in <= INT32_MAX, "max_unpool2d: the GPU takes planes of up to 2147483647 inputs, got ", in);
  Fault* fault = watch_for<IndexError>(describe);
  const bool aligned = out % 4 == 0 && moves_fours(y.data, y.dtype);  // then every chunk is
  if (in <= most_inputs && out <= 8 * most_elements) {
    const std::int64_t pieces = (out + most_elements - 1) / most_elements;
    const bool fills_windows = 2 * small[0] == large[0] && 2 * small[1] == large[1] && large[1] <= 512 &&
                               reinterpret_cast<std::uintptr_t>(y.data) % 8 == 0;
    const std::int64_t chunk =
        fills_windows ? (small[0] + pieces - 1) / pieces * 2 * large[1] : (out / pieces + 4) / 4 * 4;
    const std::int64_t chunks = (out + chunk - 1) / chunk;
    check(planes * chunks <= INT32_MAX, "max_unpool2d: the GPU takes up to 2147483647 planes, got ", planes);
    // Several small planes a block, but not where blocks are few.
    const std::int64_t fill = std::max<std::int64_t>(1, planes / (4 * multiprocessors()));
    const std::int64_t together =
        chunks > 1 ? 1 : std::max<std::int64_t>(1, std::min(fill, elements_of_planes / chunk));
    const auto ratio = [](std::int64_t a, std::int64_t b) {
      return Divisor(static_cast<int>(b > 0 && a > b ? a / b : 1));
    };
    const auto by = [](std::int64_t n) { return Divisor(static_cast<int>(std::max<std::int64_t>(n, 1))); };
    const Scattering scattering{int(planes),
                                int(together),
                                int(chunks),
                                int(chunk),
                                int(in),
                                int(out),
                                int(small[0]),
                                int(small[1]),
                                int(large[1]),
                                fills_windows,
                                by(in),
                                by(small[1]),
                                by(chunks > 1 ? chunk : out),
                                by(large[1]),
                                ratio(large[0], small[0]),
                                ratio(large[1], small[1])};
    launch(scatter_kernel, Grid{static_cast<unsigned>((planes + together - 1) / together * chunks)}, threads_per_block,
           static_cast<std::size_t>(together * (chunk + in)) * sizeof(int), scattering, x, indices, y, aligned, fault);
    return;
  }
  const std::int64_t chunks = (out + linked_chunk - 1) / linked_chunk;
  check(planes * chunks <= INT32_MAX, "max_unpool2d: the GPU takes up to 2147483647 planes and chunks of ",
        linked_chunk, " elements, got ", planes, " planes of ", chunks);
  const DeviceScratch<int> heads(planes * out), next(planes * in);
  fill_zero(heads.data(), static_cast<std::size_t>(planes * out) * sizeof(int));
  launch_elements(link_kernel, planes * in, planes * in, in, out, indices, heads.data(), next.data(), fault);
  launch(add_linked_kernel, Grid{static_cast<unsigned>(planes * chunks)}, threads_per_block, std::size_t{0}, chunks,
         static_cast<int>(in), out, x, indices, static_cast<const int*>(heads.data()),
         static_cast<const int*>(next.data()), y, aligned);
}

void gather_planes(std::int64_t planes, std::int64_t in, std::int64_t out, Reals dy, const std::int32_t* indices,
                   RealResults dx, const Describe& describe) {
  if (planes * in == 0) return;
  launch_elements(gather_kernel, planes * in, planes * in, in, out, dy, indices, dx, watch_for<IndexError>(describe));
}

void upsample_nearest2d(const Nearest& p, std::int64_t planes, Reals x, RealResults y) {
  const std::int64_t count = planes * p.large_height * p.large_width;
  launch_stream(nearest_kernel, count, p, count, x, y);
}

void upsample_nearest2d_backward(const Nearest& p, std::int64_t planes, Reals dy, RealResults dx) {
  const std::int64_t count = planes * p.height * p.width;
  launch_elements(nearest_backward_kernel, count, p, count, dy, dx);
}

void bed_of_nails2d(const Nails& p, std::int64_t planes, Reals x, RealResults y) {
  launch_stream(nails_kernel, large_count(p, planes), p, large_count(p, planes), x, y);
}

void bed_of_nails2d_backward(const Nails& p, std::int64_t planes, Reals dy, RealResults dx) {
  launch_stream(nails_backward_kernel, small_count(p, planes), p, small_count(p, planes), dy, dx);
}

}  // namespace dip::cuda
