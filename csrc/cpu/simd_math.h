// Elementary functions on vectors, each with its error in units in the last place (ulp) as measured against float64
// over all its range. Included by files that are compiled once for each instruction set.
#pragma once

#include "core/activation_kind.h"
#include "cpu/simd.h"

namespace dip::cpu::DIP_ISA {
namespace {

constexpr float infinity = __builtin_inff();

// x·2ⁿ for whole n with |n| ≤ 252; without AVX-512 by two factors, so that results reach down into the subnormals.
inline F scale_by_power_of_two(F x, F whole) {
#if defined(__AVX512F__)
  return (F)_mm512_scalef_ps((__m512)x, (__m512)whole);
#else
  const I n = __builtin_convertvector(whole, I);
  const I half = n >> 1;
  const F first = (F)((half + 127) << 23);
  const F second = (F)((n - half + 127) << 23);
  return x * first * second;
#endif
}

// eˣ = 2ⁿ·eʳ with r = x − n·ln 2 in two parts (Cody and Waite), and a polynomial for eʳ on |r| ≤ ln 2 / 2.
// Error at most 1.01 ulp; overflow gives infinity, NaN stays NaN.
inline F exp(F x) {
  const F clamped = clamp(x, -104.0f, 89.0f);
  const F magic = broadcast(12582912.0f);  // 1.5·2²³: adding it rounds to an integer in the low bits
  const F whole = fma(clamped, broadcast(1.44269504f), magic) - magic;
  F r = fma(whole, broadcast(-0.693359375f), clamped);
  r = fma(whole, broadcast(2.12194440e-4f), r);
  F p = broadcast(1.9875691500e-4f);
  p = fma(p, r, broadcast(1.3981999507e-3f));
  p = fma(p, r, broadcast(8.3334519073e-3f));
  p = fma(p, r, broadcast(4.1665795894e-2f));
  p = fma(p, r, broadcast(1.6666665459e-1f));
  p = fma(p, r, broadcast(5.0000001201e-1f));
  p = fma(p, r * r, r) + 1.0f;
  return scale_by_power_of_two(p, whole);
}

// ln x for x ≥ 1, from x = m·2ⁿ with m in [√½, √2) and a polynomial for ln m. Error at most 0.83 ulp; infinity and NaN
// stay.
inline F log(F x) {
  const I over = ((I)x - 0x3f3504f3) >> 23;  // n: whole steps of the exponent above √½
  const F n = __builtin_convertvector(over, F), m = (F)((I)x - (over << 23)) - 1.0f;
  F p = broadcast(7.0376836292e-2f);
  p = fma(p, m, broadcast(-1.1514610310e-1f));
  p = fma(p, m, broadcast(1.1676998740e-1f));
  p = fma(p, m, broadcast(-1.2420140846e-1f));
  p = fma(p, m, broadcast(1.4249322787e-1f));
  p = fma(p, m, broadcast(-1.6668057665e-1f));
  p = fma(p, m, broadcast(2.0000714765e-1f));
  p = fma(p, m, broadcast(-2.4999993993e-1f));
  p = fma(p, m, broadcast(3.3333331174e-1f));
  const F square = m * m;
  F low = fma(n, broadcast(-2.12194440e-4f), p * m * square);
  low = fma(broadcast(-0.5f), square, low);
  return select(x < infinity, fma(n, broadcast(0.693359375f), m + low), x);
}

// eˣ − 1: the Taylor series where the difference would cancel. Error at most 3.5 ulp, at |x| = 0.35.
inline F expm1(F x) {
  F p = broadcast(1.0f / 40320);
  p = fma(p, x, broadcast(1.0f / 5040));
  p = fma(p, x, broadcast(1.0f / 720));
  p = fma(p, x, broadcast(1.0f / 120));
  p = fma(p, x, broadcast(1.0f / 24));
  p = fma(p, x, broadcast(1.0f / 6));
  p = fma(p, x, broadcast(0.5f));
  return select(abs(x) < 0.35f, fma(p, x * x, x), exp(x) - 1.0f);
}

// 1/(1 + e^−x), computed from e^−|x| so that nothing overflows and f(x) = 1 − f(−x) holds closely. Error at most
// 2.4 ulp.
inline F sigmoid(F x) {
  const F e = exp(-abs(x));
  return select(x > 0.0f, broadcast(1.0f), e) / (1.0f + e);
}

// tanh x = −expm1(−2|x|)/(expm1(−2|x|) + 2) with the sign of x. Error at most 2.5 ulp.
inline F tanh(F x) {
  const F e = expm1(-2.0f * abs(x));
  const F magnitude = abs(e / (e + 2.0f));
  return select(x != x, x, (F)((I)magnitude | ((I)x & INT32_MIN)));
}

// A comparison with NaN is false, and every branch below then keeps x: NaN propagates.
inline F activate(F x, Activation kind, float alpha) {
  switch (kind) {
    case Activation::none: return x;
    case Activation::step: return select(x != x, x, select(x > 0.0f, broadcast(1.0f), F{}));
    case Activation::sigmoid: return sigmoid(x);
    case Activation::tanh: return tanh(x);
    case Activation::relu: return select(x <= 0.0f, F{}, x);
    case Activation::leaky_relu: return select(x < 0.0f, alpha * x, x);
    case Activation::elu: return select(x < 0.0f, alpha * expm1(x), x);
  }
  return x;
}

// dx from dy and the activation's result y. Where y is NaN so is dx; where an activation is flat dx is 0, whatever dy.
inline F activation_gradient(F dy, F y, Activation kind, float alpha) {
  switch (kind) {
    case Activation::none: return dy;
    case Activation::step: return select(y == y, F{}, y);
    case Activation::sigmoid: return dy * (y * (1.0f - y));
    case Activation::tanh: return dy * (1.0f - y * y);
    case Activation::relu: return select(y > 0.0f, dy, select(y == y, F{}, y));
    case Activation::leaky_relu: return select(y > 0.0f, dy, select(y == y, dy * alpha, y));
    case Activation::elu: return select(y > 0.0f, dy, dy * (y + alpha));
  }
  return dy;
}

}  // namespace
}  // namespace dip::cpu::DIP_ISA
