// Optimizer steps on the CPU, compiled once for each instruction set. Every array is read once and the weights and
// states written once: 12 bytes an element for gradient descent, 20 with one state, 28 with two.
#include "ops/optimizers/kernels.h"

#include "core/simd_math.h"

namespace dip::cpu::DIP_ISA {
namespace {

template <Rule R>
inline void step(const Update& u, F& w, F g, F& s1, F& s2) {
  if (R == Rule::adamw) {
    w -= u.learning_rate * u.weight_decay * w;
  } else {
    g = fma(broadcast(u.weight_decay), w, g);
  }
  switch (R) {
    case Rule::gradient_descent: w -= u.learning_rate * g; break;
    case Rule::momentum:
      s1 = fma(broadcast(u.decay1), s1, g);
      w -= u.learning_rate * s1;
      break;
    case Rule::nesterov:
      s1 = fma(broadcast(u.decay1), s1, g);
      w -= u.learning_rate * fma(broadcast(u.decay1), s1, g);
      break;
    case Rule::adagrad:
      s1 = fma(g, g, s1);
      w -= u.learning_rate * g / (sqrt(s1) + u.epsilon);
      break;
    case Rule::adadelta: {
      s1 = fma(broadcast(u.decay1), s1, u.rest1 * g * g);
      const F delta = sqrt(s2 + u.epsilon) / sqrt(s1 + u.epsilon) * g;
      s2 = fma(broadcast(u.decay1), s2, u.rest1 * delta * delta);
      w -= u.learning_rate * delta;
      break;
    }
    case Rule::adam:
    case Rule::adamw:
      s1 = fma(broadcast(u.decay1), s1, u.rest1 * g);
      s2 = fma(broadcast(u.decay2), s2, u.rest2 * g * g);
      w -= u.learning_rate / u.correction1 * s1 / (sqrt(s2) / u.correction2 + u.epsilon);
      break;
  }
}

constexpr int states_of(Rule rule) {
  return rule == Rule::gradient_descent                                        ? 0
         : rule == Rule::adadelta || rule == Rule::adam || rule == Rule::adamw ? 2
                                                                               : 1;
}

template <Rule R>
void update_of(const Update& u, const UpdateTensor& t) {
  constexpr int states = states_of(R);
  for (std::int64_t i = 0; i < t.count; i += W) {
    const std::int64_t n = lanes_at(i, t.count);
    F w = load_some(t.w + i, n), s1 = {}, s2 = {};
    if (states > 0) s1 = load_some(t.state1 + i, n);
    if (states > 1) s2 = load_some(t.state2 + i, n);
    step<R>(u, w, load_some(t.gradient + i, n), s1, s2);
    store_some(t.w + i, w, n);
    if (states > 0) store_some(t.state1 + i, s1, n);
    if (states > 1) store_some(t.state2 + i, s2, n);
  }
}

void update(const Update& u, const UpdateTensor& t) {
  switch (u.rule) {
    case Rule::gradient_descent: return update_of<Rule::gradient_descent>(u, t);
    case Rule::momentum: return update_of<Rule::momentum>(u, t);
    case Rule::nesterov: return update_of<Rule::nesterov>(u, t);
    case Rule::adagrad: return update_of<Rule::adagrad>(u, t);
    case Rule::adadelta: return update_of<Rule::adadelta>(u, t);
    case Rule::adam: return update_of<Rule::adam>(u, t);
    case Rule::adamw: return update_of<Rule::adamw>(u, t);
  }
}

}  // namespace

extern const OptimizerKernels optimizer_kernels = {update};

}  // namespace dip::cpu::DIP_ISA
