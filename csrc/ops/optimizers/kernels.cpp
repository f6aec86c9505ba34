// Optimizer steps on the CPU, compiled once for each instruction set. Every array is read once and the weights and
// states written once: 12 bytes an element for gradient descent, 20 with one state, 28 with two, 36
// for AMSGrad; to clip by the norm takes 4 more.
#include "ops/optimizers/kernels.h"

#include "cpu/simd_math.h"

namespace dip::cpu::DIP_ISA {
namespace {

template <Rule R>
inline void step(const Update& u, const UpdateTensor& t, float factor, F& w, F g, F& s1, F& s2, F& s3) {
  g = clamp(g * factor, -u.clip_value, u.clip_value);
  if (R == Rule::adamw) {
    w -= t.learning_rate * t.weight_decay * w;
  } else {
    g = fma(broadcast(t.weight_decay), w, g);
  }
  switch (R) {
    case Rule::gradient_descent: w -= t.learning_rate * g; break;
    case Rule::momentum:
      s1 = fma(broadcast(u.decay1), s1, g);
      w -= t.learning_rate * s1;
      break;
    case Rule::nesterov:
      s1 = fma(broadcast(u.decay1), s1, g);
      w -= t.learning_rate * fma(broadcast(u.decay1), s1, g);
      break;
    case Rule::adagrad:
      s1 = fma(g, g, s1);
      w -= t.learning_rate * g / (sqrt(s1) + u.epsilon);
      break;
    case Rule::adadelta: {
      s1 = fma(broadcast(u.decay1), s1, u.rest1 * g * g);
      const F delta = sqrt(s2 + u.epsilon) / sqrt(s1 + u.epsilon) * g;
      s2 = fma(broadcast(u.decay1), s2, u.rest1 * delta * delta);
      w -= t.learning_rate * delta;
      break;
    }
    case Rule::adam:
    case Rule::adamw:
      s1 = fma(broadcast(u.decay1), s1, u.rest1 * g);
      s2 = fma(broadcast(u.decay2), s2, u.rest2 * g * g);
      if (t.state3) s3 = s2 <= s3 ? s3 : s2;  // NaN wins
      w -= t.learning_rate / u.correction1 * s1 / (sqrt(t.state3 ? s3 : s2) / u.correction2 + u.epsilon);
      break;
  }
}

constexpr int states_of(Rule rule) {
  return rule == Rule::gradient_descent                                        ? 0
         : rule == Rule::adadelta || rule == Rule::adam || rule == Rule::adamw ? 2
                                                                               : 1;
}

template <Rule R>
void update_of(const Update& u, const UpdateTensor& t, float factor) {
  constexpr int states = states_of(R);
  for (std::int64_t i = 0; i < t.count; i += W) {
    const std::int64_t n = lanes_at(i, t.count);
    F w = load_some(t.w + i, n), s1 = {}, s2 = {}, s3 = {};
    if (states > 0) s1 = load_some(t.state1 + i, n);
    if (states > 1) s2 = load_some(t.state2 + i, n);
    if (states > 1 && t.state3) s3 = load_some(t.state3 + i, n);
    step<R>(u, t, factor, w, load_some(t.gradient + i, n), s1, s2, s3);
    store_some(t.w + i, w, n);
    if (states > 0) store_some(t.state1 + i, s1, n);
    if (states > 1) store_some(t.state2 + i, s2, n);
    if (states > 1 && t.state3) store_some(t.state3 + i, s3, n);
  }
}

void update(const Update& u, const UpdateTensor& t, float factor) {
  switch (u.rule) {
    case Rule::gradient_descent: return update_of<Rule::gradient_descent>(u, t, factor);
    case Rule::momentum: return update_of<Rule::momentum>(u, t, factor);
    case Rule::nesterov: return update_of<Rule::nesterov>(u, t, factor);
    case Rule::adagrad: return update_of<Rule::adagrad>(u, t, factor);
    case Rule::adadelta: return update_of<Rule::adadelta>(u, t, factor);
    case Rule::adam: return update_of<Rule::adam>(u, t, factor);
    case Rule::adamw: return update_of<Rule::adamw>(u, t, factor);
  }
}

double sum_of_squares(const float* values, std::int64_t count) {
  double sum = 0.0;
  for (std::int64_t begin = 0; begin < count; begin += 8) {
    double squares[8] = {};
    const std::int64_t n = count - begin < 8 ? count - begin : 8;
    for (std::int64_t i = 0; i < n; ++i) {
      const double value = values[begin + i];
      squares[i] = value * value;
    }
    sum += ((squares[0] + squares[1]) + (squares[2] + squares[3])) +
           ((squares[4] + squares[5]) + (squares[6] + squares[7]));
  }
  return sum;
}

}  // namespace

extern const OptimizerKernels optimizer_kernels = {
    .update = update,
    .sum_of_squares = sum_of_squares,
};

}  // namespace dip::cpu::DIP_ISA
