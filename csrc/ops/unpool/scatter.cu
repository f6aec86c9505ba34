// Unpooling on the GPU: a block fills part of a plane, or some planes.
#include <algorithm>
#include <climits>

#include "core/check.h"
#include "cuda/divisor.h"
#include "cuda/value_check.h"
#include "ops/unpool/lists.h"
#include "ops/unpool/unpool.h"

namespace dip::cuda {
namespace {

// How blocks share planes: one has so many whole ones, or a `chunk` of the elements of one. `stride`: of the windows
// that the inputs may come from. With `fills_windows` these are 2 × 2 and all of a plane is in one. With `has_cells`
// the strides are 2, and so a plane is made of cells of 2 × 2 elements; a chunk is then, too.
struct Scattering {
  int planes, planes_a_block, chunks, chunk, in, out, in_h, in_w, out_w;
  bool fills_windows, has_cells;
  Divisor by_cells_w, by_cells_h, by_in, by_in_w, by_out, by_out_w, stride_h, stride_w;

  // Whether all of a block's inputs could lie in the same windows of 2 × 2.
  __device__ bool is_in_window(int i, int index) const {
    int h = index;
    const int w = by_out_w.take_remainder(h), ow = by_in_w.take_remainder(i);
    return static_cast<unsigned>(h - 2 * i) < 2 && static_cast<unsigned>(w - 2 * ow) < 2;
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

// The largest of a block's numbers, which are below 2²⁴, for all of its threads.
__device__ inline int block_maximum(int number) {
  constexpr int warps = threads_per_block / 32;
  DIP_SHARED_ARRAY(int, of_warps, warps);
  float largest = static_cast<float>(number);
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) {
    const float other = shuffle_xor(largest, mask);
    largest = other > largest ? other : largest;
  }
  __syncthreads();  // an earlier one has been read
  if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = static_cast<int>(largest);
  __syncthreads();
  int result = of_warps[0];
#pragma unroll
  for (int warp = 1; warp < warps; ++warp) result = max(result, static_cast<int>(of_warps[warp]));
  return result;
}

// How far along one axis the elements of a block's inputs lie from input · stride. Where windows are regular this is
// the window's size, and few inputs can belong to an element.
struct Reach {
  int least = INT_MAX / 4, most = INT_MIN / 4;

  __device__ void include(int offset) {
    least = min(least, offset);
    most = max(most, offset);
  }
  __device__ Reach of_block() const {
    constexpr int limit = (1 << 24) - 1;
    Reach result;
    result.least = -block_maximum(max(-least, -limit));
    result.most = block_maximum(max(most, -limit));
    return result;
  }
  __device__ bool is_short(const Divisor& stride) const {
    constexpr int most_inputs = 3;  // of an element, along the axis
    return most - least < most_inputs * static_cast<int>(stride.divisor);
  }
  // Of a cell of two positions, the inputs before its own that may belong to it, and whether no more than one other
  // may.
  __device__ int inputs_before() const { return most >> 1; }
  __device__ bool suits_cells() const { return (most >> 1) + ((1 - least) >> 1) <= 1; }
  // The inputs whose windows have this position; of `count`.
  __device__ int first_input(const Divisor& stride, int position) const {
    return position > most ? stride.quotient(position - most + static_cast<int>(stride.divisor) - 1) : 0;
  }
  __device__ int last_input(const Divisor& stride, int position, int count) const {
    return position >= least ? min(stride.quotient(position - least), count - 1) : -1;
  }
};

// Fills cells of 2 × 2 elements where no more than two inputs along each axis can belong to one, one cell a thread, by
// the block: its part begins with row `first_row` of the planes, the first of which begins at element `at` of y.
__device__ inline void fill_cells(const Scattering& p, const Reach& reach_h, const Reach& reach_w, int planes,
                                  int first_row, int rows, Shared<int> indices, Shared<float> values, RealResults y,
                                  std::int64_t at) {
  const int cells_w = static_cast<int>(p.by_cells_w.divisor), cells = planes * ((rows + 1) / 2) * cells_w;
  for (int i = static_cast<int>(threadIdx.x); i < cells; i += threads_per_block) {
    int cell_h = i, plane = 0;
    const int cell_w = p.by_cells_w.take_remainder(cell_h);
    if (p.chunks == 1) {
      plane = cell_h;
      cell_h = p.by_cells_h.take_remainder(plane);
    }
    const int h = first_row + 2 * cell_h, w = 2 * cell_w;
    const int input_h = h / 2 - reach_h.inputs_before(), input_w = w / 2 - reach_w.inputs_before();
    float sums[2][2] = {};
#pragma unroll
    for (int u = 0; u < 4; ++u) {
      const int ih = input_h + u / 2, iw = input_w + u % 2;
      const bool there = ih >= 0 && ih < p.in_h && iw >= 0 && iw < p.in_w;
      const int from = plane * p.in + (there ? ih * p.in_w + iw : 0);
      const int place = static_cast<int>(indices[from]) - (h * p.out_w + w);
      const float value = values[from];
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        if (there && place == e / 2 * p.out_w + e % 2) sums[e / 2][e % 2] += value;
      }
    }
    const std::int64_t to = at + std::int64_t{plane} * p.out + std::int64_t{h} * p.out_w + w;
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const bool inside = 2 * cell_h + e / 2 < rows && w + e % 2 < p.out_w;
      if (inside) write(y, to + e / 2 * p.out_w + e % 2, sums[e / 2][e % 2]);
    }
  }
}

// Writes `count` elements of y from `at` on, by the block; with `aligned` fours at once.
template <class Element>
__device__ void write_elements(RealResults y, std::int64_t at, int count, bool aligned, const Element& element) {
  const int first = static_cast<int>(threadIdx.x), fours = aligned ? count / 4 : 0;
  for (int four = first; four < fours; four += threads_per_block) {
    const int e = 4 * four;
    write_four(y, at / 4 + four, {{element(e), element(e + 1), element(e + 2), element(e + 3)}});
  }
  for (int e = 4 * fours + first; e < count; e += threads_per_block) write(y, at + e, element(e));
}

// A block looks at all inputs of its planes. Windows of 2 × 2 are filled while it does so. Where the inputs come from
// other regular windows, each element asks those few whose windows it may be in; else it has a list of its inputs. All
// add them in the same order.
__global__ void scatter_kernel(Scattering p, Reals x, const std::int32_t* indices, RealResults y, bool aligned,
                               Fault* fault) {
  const int first_plane = static_cast<int>(blockIdx.x) / p.chunks * p.planes_a_block;
  const int begin = static_cast<int>(blockIdx.x) % p.chunks * p.chunk, first = static_cast<int>(threadIdx.x);
  const int planes = min(p.planes_a_block, p.planes - first_plane), size = min(p.chunk, p.out - begin);
  const std::int64_t first_input = std::int64_t{first_plane} * p.in;
  const std::int32_t* of_block = indices + first_input;
  const std::int64_t at = std::int64_t{first_plane} * p.out + begin;
  const Shared<int> kept = dynamic_shared<int>();
  const Shared<float> values = shared_cast<float>(kept + planes * p.in);
  std::int64_t wrong = -1;
  bool elsewhere = false;
  Reach reach_h, reach_w;
  struct Input {
    std::int32_t index;
    float value;
  };
  const auto is_filled = [&](int of_plane) { return 4 * of_plane >= begin && 4 * of_plane < begin + size; };
  stream_elements(
      first, planes * p.in, threads_per_block,
      [&](int i) {
        const bool is_used = !p.fills_windows || planes > 1 || is_filled(i);
        return Input{of_block[i], is_used ? read(x, first_input + i) : 0.0f};
      },
      [&](int i, Input input) {
        int plane = i;
        const int of_plane = p.by_in.take_remainder(plane), index = input.index;
        const bool is_wrong = index < 0 || index >= p.out;
        if (is_wrong) wrong = wrong < 0 ? first_input + i : wrong;
        elsewhere |= is_wrong;
        if (p.fills_windows) {
          elsewhere |= !p.is_in_window(of_plane, index);
          if (is_filled(of_plane)) {
            fill_window(p, of_plane, begin, index, input.value, y, at + std::int64_t{plane} * p.out);
          }
          return;
        }
        kept[i] = index;
        values[i] = input.value;
        int h = index, ih = of_plane;
        const int w = p.by_out_w.take_remainder(h), iw = p.by_in_w.take_remainder(ih);
        if (is_wrong) return;
        reach_h.include(h - ih * static_cast<int>(p.stride_h.divisor));
        reach_w.include(w - iw * static_cast<int>(p.stride_w.divisor));
      });
  const bool by_lists = __syncthreads_or(elsewhere);
  if (p.fills_windows && !by_lists) return;
  if (!p.fills_windows && !by_lists) {
    reach_h = reach_h.of_block();
    reach_w = reach_w.of_block();
    if (p.has_cells && reach_h.suits_cells() && reach_w.suits_cells()) {
      const int first_row = p.by_out_w.quotient(begin), rows = p.by_out_w.quotient(size);
      return fill_cells(p, reach_h, reach_w, planes, first_row, rows, kept, values, y, at - begin);
    }
    if (reach_h.is_short(p.stride_h) && reach_w.is_short(p.stride_w)) {
      const auto element = [&](int e) {
        int plane = e;
        const int of_plane = begin + p.by_out.take_remainder(plane);
        int h = of_plane;
        const int w = p.by_out_w.take_remainder(h), inputs = plane * p.in;
        const int first_w = reach_w.first_input(p.stride_w, w), last_w = reach_w.last_input(p.stride_w, w, p.in_w);
        const int last_h = reach_h.last_input(p.stride_h, h, p.in_h);
        float sum = 0.0f;
        for (int ih = reach_h.first_input(p.stride_h, h); ih <= last_h; ++ih) {
          for (int i = inputs + ih * p.in_w + first_w; i <= inputs + ih * p.in_w + last_w; ++i) {
            if (kept[i] == of_plane) sum += values[i];
          }
        }
        return sum;
      };
      return write_elements(y, at, planes * size, aligned, element);  // a chunk is of one plane
    }
  }
  const Shared<int> heads = kept, next = heads + p.planes_a_block * p.chunk;
  __syncthreads();
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

}  // namespace

void scatter_planes(std::int64_t planes, Pair small, Pair large, Reals x, const std::int32_t* indices, RealResults y,
                    const Describe& describe) {
  // Shared memory holds 8,192 elements and a quarter as many inputs five times a multiprocessor.
  constexpr std::int64_t most_elements = 1 << 13, most_inputs = 1 << 13, elements_of_planes = 1 << 13;
  const std::int64_t in = small[0] * small[1], out = large[0] * large[1];
  check(in <= INT32_MAX, "max_unpool2d: the GPU takes planes of up to 2147483647 inputs, got ", in);
  Fault* fault = watch_for<IndexError>(describe);
  const bool aligned = out % 4 == 0 && moves_fours(y.data, y.dtype);
  if (in <= most_inputs && out <= 8 * most_elements) {
    const std::int64_t pieces = (out + most_elements - 1) / most_elements;
    const auto stride = [](std::int64_t a, std::int64_t b) {  // that windows of such planes most likely have
      return Divisor(static_cast<int>(b > 0 && a > b ? (2 * a + b) / (2 * b) : 1));
    };
    const Divisor stride_h = stride(large[0], small[0]), stride_w = stride(large[1], small[1]);
    const bool has_cells = stride_h.divisor == 2 && stride_w.divisor == 2 && large[1] <= 512;
    const bool fills_windows = has_cells && 2 * small[0] == large[0] && 2 * small[1] == large[1] &&
                               reinterpret_cast<std::uintptr_t>(y.data) % 8 == 0;
    const std::int64_t cells_h = (large[0] + 1) / 2, cells_w = (large[1] + 1) / 2;
    const std::int64_t chunk = has_cells ? (cells_h + pieces - 1) / pieces * 2 * large[1] : (out / pieces + 4) / 4 * 4;
    const std::int64_t chunks = (out + chunk - 1) / chunk;
    check(planes * chunks <= INT32_MAX, "max_unpool2d: the GPU takes up to 2147483647 planes, got ", planes);
    // Several small planes a block, but not where blocks are few.
    const std::int64_t fill = std::max<std::int64_t>(1, planes / (4 * multiprocessors()));
    const std::int64_t together =
        chunks > 1 ? 1 : std::max<std::int64_t>(1, std::min(fill, elements_of_planes / chunk));
    const auto by = [](std::int64_t n) { return Divisor(static_cast<int>(std::max<std::int64_t>(n, 1))); };
    const Scattering scattering{int(planes),   int(together), int(chunks),   int(chunk),
                                int(in),       int(out),      int(small[0]), int(small[1]),
                                int(large[1]), fills_windows, has_cells,     by(cells_w),
                                by(cells_h),   by(in),        by(small[1]),  by(chunks > 1 ? chunk : out),
                                by(large[1]),  stride_h,      stride_w};
    launch(scatter_kernel, Grid{static_cast<unsigned>((planes + together - 1) / together * chunks)}, threads_per_block,
           static_cast<std::size_t>(together * (std::max(chunk, in) + in)) * sizeof(int), scattering, x, indices, y,
           aligned && chunk % 4 == 0, fault);
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

}  // namespace dip::cuda
