// Optimizer steps on the GPU: many tensors a launch, every array read once and written once.
#include "core/device.h"
#include "ops/optimizers/optimizers.h"

namespace dip::cuda {
namespace {

constexpr int tensors_a_launch = 48;  // what fits into a kernel's parameters
constexpr std::int64_t elements_a_block = 16 * threads_per_block;

struct Tensors {
  UpdateTensor each[tensors_a_launch];
  unsigned first_block[tensors_a_launch + 1];
  int count;
};

// Many tensors in one launch: every block finds the tensor that is its own.
__global__ void update_kernel(Update u, Tensors tensors) {
  int which = 0;
  while (tensors.first_block[which + 1] <= blockIdx.x) ++which;
  const UpdateTensor t = tensors.each[which];
  if (u.device_step) {
    DIP_SHARED_ARRAY(float, corrections, 2);
    if (threadIdx.x == 0) {
      const double step = static_cast<double>(*u.device_step);
      corrections[0] = static_cast<float>(1.0 - pow(u.exact_decay1, step));
      corrections[1] = static_cast<float>(sqrt(1.0 - pow(u.exact_decay2, step)));
    }
    __syncthreads();
    u.correction1 = corrections[0];
    u.correction2 = corrections[1];
  }
  const std::int64_t begin = (blockIdx.x - tensors.first_block[which]) * elements_a_block;
  const std::int64_t end = begin + elements_a_block < t.count ? begin + elements_a_block : t.count;
  struct Element {
    float w, gradient, state1, state2;
  };
  const auto read = [&](std::int64_t i) {
    return Element{t.w[i], t.gradient[i], t.state1 ? t.state1[i] : 0.0f, t.state2 ? t.state2[i] : 0.0f};
  };
  const auto write = [&](std::int64_t i, Element e) {
    float w = e.w, g = e.gradient, s1 = e.state1, s2 = e.state2;
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
  };
  stream_elements(begin + threadIdx.x, end, std::int64_t{threads_per_block}, read, write);
}

}  // namespace

void optimizer_step(const Update& update, const UpdateTensor* tensors, std::int64_t tensor_count) {
  for (std::int64_t first = 0; first < tensor_count; first += tensors_a_launch) {
    Tensors launched{};
    for (std::int64_t t = first; t < tensor_count && t < first + tensors_a_launch; ++t) {
      const std::int64_t blocks = (tensors[t].count + elements_a_block - 1) / elements_a_block;
      if (blocks == 0) continue;
      launched.each[launched.count] = tensors[t];
      launched.first_block[launched.count + 1] = launched.first_block[launched.count] + static_cast<unsigned>(blocks);
      ++launched.count;
    }
    const unsigned blocks = launched.first_block[launched.count];
    if (blocks > 0) launch(update_kernel, blocks, threads_per_block, update, launched);
  }
}

}  // namespace dip::cuda
