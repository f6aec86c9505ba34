// Optimizer steps on the GPU: one element a thread, every array read once and written once.
#include "core/device.h"
#include "ops/optimizers/optimizers.h"

namespace dip::cuda {
namespace {

__global__ void update_kernel(Update u, UpdateTensor t) {
  for (std::int64_t i = first_element(); i < t.count; i += element_step()) {
    float w = t.w[i], g = t.gradient[i];
    float s1 = t.state1 ? t.state1[i] : 0.0f, s2 = t.state2 ? t.state2[i] : 0.0f;
    if (u.rule == Rule::adamw) {
      w -= u.learning_rate * u.weight_decay * w;
    } else {
      g = fmaf(u.weight_decay, w, g);
    }
    switch (u.rule) {
      case Rule::gradient_descent: w -= u.learning_rate * g; break;
      case Rule::momentum:
        s1 = fmaf(u.decay1, s1, g);
        w -= u.learning_rate * s1;
        break;
      case Rule::nesterov:
        s1 = fmaf(u.decay1, s1, g);
        w -= u.learning_rate * fmaf(u.decay1, s1, g);
        break;
      case Rule::adagrad:
        s1 = fmaf(g, g, s1);
        w -= u.learning_rate * g / (sqrtf(s1) + u.epsilon);
        break;
      case Rule::adadelta: {
        s1 = fmaf(u.decay1, s1, u.rest1 * g * g);
        const float delta = sqrtf(s2 + u.epsilon) / sqrtf(s1 + u.epsilon) * g;
        s2 = fmaf(u.decay1, s2, u.rest1 * delta * delta);
        w -= u.learning_rate * delta;
        break;
      }
      case Rule::adam:
      case Rule::adamw:
        s1 = fmaf(u.decay1, s1, u.rest1 * g);
        s2 = fmaf(u.decay2, s2, u.rest2 * g * g);
        w -= u.learning_rate / u.correction1 * s1 / (sqrtf(s2) / u.correction2 + u.epsilon);
        break;
    }
    t.w[i] = w;
    if (t.state1) t.state1[i] = s1;
    if (t.state2) t.state2[i] = s2;
  }
}

}  // namespace

void optimizer_step(const Update& update, const UpdateTensor* tensors, std::int64_t tensor_count) {
  for (std::int64_t t = 0; t < tensor_count; ++t) {
    launch_elements(update_kernel, tensors[t].count, update, tensors[t]);
  }
}

}  // namespace dip::cuda
