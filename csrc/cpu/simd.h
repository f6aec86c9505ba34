// One vector of floats, as wide as the instruction set this file is compiled for, and what the kernels do with it.
//
// Everything here has internal linkage: a function shared between files compiled for different instruction sets could
// otherwise be the AVX-512 copy that the linker keeps, and crash an older machine.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace dip::cpu::DIP_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int W = 16;
#elif defined(__AVX2__)
constexpr int W = 8;
#else
constexpr int W = 4;
#endif

typedef float F __attribute__((vector_size(W * 4)));
typedef std::int32_t I __attribute__((vector_size(W * 4)));

inline F load(const float* p) {
  F v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

inline void store(float* p, F v) {
  __builtin_memcpy(p, &v, sizeof v);
}
inline void store(std::int32_t* p, I v) {
  __builtin_memcpy(p, &v, sizeof v);
}

#if defined(__AVX512F__)
inline __mmask16 first_lanes(std::int64_t n) {
  return static_cast<__mmask16>((1u << n) - 1);
}
inline F load(const float* p, std::int64_t n) {
  return (F)_mm512_maskz_loadu_ps(first_lanes(n), p);
}
inline void store(float* p, F v, std::int64_t n) {
  _mm512_mask_storeu_ps(p, first_lanes(n), (__m512)v);
}
inline void store(std::int32_t* p, I v, std::int64_t n) {
  _mm512_mask_storeu_epi32(p, first_lanes(n), (__m512i)v);
}
#elif defined(__AVX2__)
inline __m256i first_lanes(std::int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline F load(const float* p, std::int64_t n) {
  return (F)_mm256_maskload_ps(p, first_lanes(n));
}
inline void store(float* p, F v, std::int64_t n) {
  _mm256_maskstore_ps(p, first_lanes(n), (__m256)v);
}
inline void store(std::int32_t* p, I v, std::int64_t n) {
  _mm256_maskstore_epi32(p, first_lanes(n), (__m256i)v);
}
#else
inline F load(const float* p, std::int64_t n) {
  F v = {};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
inline void store(float* p, F v, std::int64_t n) {
  for (int i = 0; i < n; ++i) p[i] = v[i];
}
inline void store(std::int32_t* p, I v, std::int64_t n) {
  for (int i = 0; i < n; ++i) p[i] = v[i];
}
#endif

// Lanes [first, last) of a vector, and a load of only those, zeros elsewhere: what lies outside is not touched.
#if defined(__AVX512F__)
typedef __mmask16 LaneMask;
inline LaneMask lanes_between(std::int64_t first, std::int64_t last) {
  return static_cast<LaneMask>(last > first ? ((1u << last) - 1) & ~((1u << first) - 1) : 0);
}
inline F load_lanes(const float* p, LaneMask mask) {
  return (F)_mm512_maskz_loadu_ps(mask, p);
}
#else
struct LaneMask {
  I lanes;
};
inline LaneMask lanes_between(std::int64_t first, std::int64_t last) {
  LaneMask mask;
  for (int i = 0; i < W; ++i) mask.lanes[i] = i >= first && i < last ? -1 : 0;
  return mask;
}
inline F load_lanes(const float* p, LaneMask mask) {
#if defined(__AVX2__)
  return (F)_mm256_maskload_ps(p, (__m256i)mask.lanes);
#else
  F v = {};
  for (int i = 0; i < W; ++i) {
    if (mask.lanes[i]) v[i] = p[i];
  }
  return v;
#endif
}
#endif

// Which lanes of a vector from `column` are inside a row.
inline LaneMask lanes_inside(std::int64_t column, std::int64_t width) {
  const std::int64_t before = -column, room = width - column;
  return lanes_between(before < 0 ? 0 : before < W ? before : W, room < 0 ? 0 : room < W ? room : W);
}

// x − 0 keeps the sign of a negative zero; x + 0 would not.
inline F broadcast(float x) {
  return x - F{};
}
inline I broadcast(std::int32_t x) {
  return x - I{};
}

inline I lane_numbers() {
  I v;
  for (int i = 0; i < W; ++i) v[i] = i;
  return v;
}

inline F fma(F a, F b, F c) {
#if defined(__AVX512F__)
  return (F)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
  return (F)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
  return (F)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}

// Keeps GCC from loading v anew for each of its uses: where every multiply-add has a load of its own, loads are the
// limit.
inline void hold(F& v) {
#if defined(__AVX512F__)
  asm("" : "+v"(v));
#elif defined(__SSE__)
  asm("" : "+x"(v));
#elif defined(__aarch64__)
  asm("" : "+w"(v));
#endif
}

inline F sqrt(F v) {
#if defined(__AVX512F__)
  return (F)_mm512_sqrt_ps((__m512)v);
#elif defined(__AVX2__)
  return (F)_mm256_sqrt_ps((__m256)v);
#elif defined(__SSE__)
  return (F)_mm_sqrt_ps((__m128)v);
#else
  F r;
  for (int i = 0; i < W; ++i) r[i] = __builtin_sqrtf(v[i]);
  return r;
#endif
}

inline F select(I mask, F yes, F no) {
  return mask ? yes : no;
}
// Whether a comparison holds in some lane.
inline bool any(I mask) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif defined(__AVX2__)
  return !_mm256_testz_si256((__m256i)mask, (__m256i)mask);
#else
  bool some = false;
  for (int i = 0; i < W; ++i) some |= mask[i] != 0;
  return some;
#endif
}
inline F larger(F a, F b) {
  return a > b ? a : b;
}
// NaN stays NaN.
inline F clamp(F v, float low, float high) {
#if defined(__AVX512F__)
  // Of a NaN and a number these instructions return what stands second.
  return (F)_mm512_max_ps(_mm512_set1_ps(low), _mm512_min_ps(_mm512_set1_ps(high), (__m512)v));
#else
  return select(v > high, broadcast(high), select(v < low, broadcast(low), v));
#endif
}
inline F abs(F v) {
  return (F)((I)v & 0x7fffffff);
}

// A loop over `count` elements takes W at a time and then the rest: lanes_at() says how many lanes are left at i,
// load_some() and store_some() touch only those, and first_only() replaces the others.
inline F load_some(const float* p, std::int64_t n) {
  return n == W ? load(p) : load(p, n);
}
inline void store_some(float* p, F v, std::int64_t n) {
  n == W ? store(p, v) : store(p, v, n);
}
inline void store_some(std::int32_t* p, I v, std::int64_t n) {
  n == W ? store(p, v) : store(p, v, n);
}
inline std::int64_t lanes_at(std::int64_t i, std::int64_t count) {
  return count - i < W ? count - i : W;
}
inline F first_only(F v, std::int64_t n, float rest) {
  return n == W ? v : select(lane_numbers() < static_cast<std::int32_t>(n), v, broadcast(rest));
}

// Lane i to p[2i], for the first n.
inline void store_even(float* p, F v, std::int64_t n) {
#if defined(__AVX512F__)
  const __m512i low = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
  const __m512i high = _mm512_setr_epi32(8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15);
  const std::uint32_t mask = 0x55555555u & static_cast<std::uint32_t>((std::uint64_t{1} << 2 * n) - 1);
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>(mask), _mm512_permutexvar_ps(low, (__m512)v));
  _mm512_mask_storeu_ps(p + W, static_cast<__mmask16>(mask >> W), _mm512_permutexvar_ps(high, (__m512)v));
#else
  for (int i = 0; i < n; ++i) p[2 * i] = v[i];
#endif
}

// a₀, b₀, a₁, b₁, …: the first n of these 2W.
inline void store_interleaved(float* p, F a, F b, std::int64_t n) {
#if defined(__AVX512F__)
  const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const __m512i high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  const F first = (F)_mm512_permutex2var_ps((__m512)a, low, (__m512)b);
  const F second = (F)_mm512_permutex2var_ps((__m512)a, high, (__m512)b);
#elif defined(__AVX2__)
  const __m256 low = _mm256_unpacklo_ps((__m256)a, (__m256)b), high = _mm256_unpackhi_ps((__m256)a, (__m256)b);
  const F first = (F)_mm256_permute2f128_ps(low, high, 0x20), second = (F)_mm256_permute2f128_ps(low, high, 0x31);
#else
  const F first = {a[0], b[0], a[1], b[1]}, second = {a[2], b[2], a[3], b[3]};
#endif
  store_some(p, first, n < W ? n : W);
  if (n > W) store_some(p + W, second, n < 2 * W ? n - W : W);
}

// Sums halves onto halves: a fixed tree, so the same bits every time.
inline float horizontal_sum(F v) {
#if defined(__AVX512F__)
  const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd((__m512)v), 1));
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256((__m512)v), high);
  __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
#elif defined(__AVX2__)
  __m128 quarter = _mm_add_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
#elif defined(__SSE__)
  __m128 quarter = (__m128)v;
#endif
#if defined(__SSE__)
  quarter = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_shuffle_ps(quarter, quarter, 1)));
#else
  return (v[0] + v[2]) + (v[1] + v[3]);
#endif
}

inline float horizontal_max(F v) {
  float m = v[0];
  for (int i = 1; i < W; ++i) m = v[i] > m ? v[i] : m;
  return m;
}

// A sum of any length with the error of a short one: so many vectors are added plainly, and to their sums is added what
// each addition lost of the smaller number (Neumaier 1974).
class LongSum {
 public:
  static constexpr int plain = 64;

  void add(F v) {
    part_ += v;
    if (++count_ == plain) settle();
  }
  F total() {
    settle();
    return select(lost_ == lost_, whole_ + lost_, whole_);  // beside an infinity what is lost is no number
  }

 private:
  void settle() {
    const F sum = whole_ + part_;
    lost_ += select(abs(whole_) < abs(part_), (part_ - sum) + whole_, (whole_ - sum) + part_);
    whole_ = sum;
    part_ = F{};
    count_ = 0;
  }

  F part_ = {}, whole_ = {}, lost_ = {};
  int count_ = 0;
};

// The lanes 0, 2, 4, … of both, one after the other.
inline F even_lanes(F a, F b) {
#if defined(__AVX512F__)
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  return (F)_mm512_permutex2var_ps((__m512)a, even, (__m512)b);
#elif defined(__AVX2__)
  const __m256 mixed = _mm256_shuffle_ps((__m256)a, (__m256)b, 0x88);
  return (F)_mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), 0xd8));
#else
  return F{a[0], a[2], b[0], b[2]};
#endif
}

// The elements 0, 2, 4, … of the 2W that begin at p; `readable` of them may be touched.
inline F load_even(const float* p, std::int64_t readable) {
  const bool whole = readable >= 2 * W;
  const F a = whole || readable >= W ? load(p) : load(p, readable);
  const F b = whole ? load(p + W) : readable > W ? load(p + W, readable - W) : F{};
  return even_lanes(a, b);
}

}  // namespace
}  // namespace dip::cpu::DIP_ISA
