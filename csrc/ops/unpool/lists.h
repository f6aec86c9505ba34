// Sums of inputs that say themselves to which element they belong, always the same bits.
#pragma once

#include <climits>
#include <cstdint>

#include "cuda/half.h"

namespace dip::cuda {

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

}  // namespace dip::cuda
