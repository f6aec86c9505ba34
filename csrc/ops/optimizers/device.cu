// Optimizer steps on the GPU: many tensors a launch, every array read once and written once.
#include <vector>

#include "cuda/copy_kernels.h"
#include "cuda/sum.h"
#include "ops/optimizers/optimizers.h"

namespace dip::cuda {
namespace {

constexpr int tensors_a_launch = 48;  // what fits into a kernel's parameters, 4096 bytes
constexpr std::int64_t many_elements = 1 << 22;

struct Tensors {
  UpdateTensor each[tensors_a_launch];
  unsigned first_block[tensors_a_launch + 1];
  int number[tensors_a_launch];  // in the list of all
  int count, elements_a_block;
};

// Many tensors in one launch: every block finds the tensor that is its own, and the elements of it.
struct Part {
  UpdateTensor t;
  int number;
  std::int64_t begin, end;

  __device__ explicit Part(const Tensors& tensors) {
    int which = 0;
    while (tensors.first_block[which + 1] <= blockIdx.x) ++which;
    t = tensors.each[which];
    number = tensors.number[which];
    begin = std::int64_t{blockIdx.x - tensors.first_block[which]} * tensors.elements_a_block;
    end = begin + tensors.elements_a_block < t.count ? begin + tensors.elements_a_block : t.count;
  }
};

// squares[block] = Σ gradient² of its part.
__global__ void square_kernel(Tensors tensors, double* squares) {
  const Part part(tensors);
  double sum = 0.0;
  for (std::int64_t i = part.begin + threadIdx.x; i < part.end; i += threads_per_block) {
    const double value = part.t.gradient[i];
    sum += value * value;
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) squares[blockIdx.x] = sum;
}

// `squares` of all gradients, where they are to be clipped by it; else null.
__global__ void update_kernel(Update u, Tensors tensors, const double* squares) {
  const Part part(tensors);
  UpdateTensor t = part.t;
  if (u.device_rates) t.learning_rate = u.device_rates[part.number];
  const std::int64_t begin = part.begin, end = part.end;
  const float factor = squares ? static_cast<float>(clip_factor(sqrt(*squares), u.clip_norm)) : 1.0f;
  if (u.device_step && (u.rule == Rule::adam || u.rule == Rule::adamw)) {
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
  struct Element {
    float w, gradient, state1, state2, state3;
  };
  const auto read = [&](std::int64_t i) {
    return Element{t.w[i], t.gradient[i], t.state1 ? t.state1[i] : 0.0f, t.state2 ? t.state2[i] : 0.0f,
                   t.state3 ? t.state3[i] : 0.0f};
  };
  const auto write = [&](std::int64_t i, Element e) {
    float w = e.w, g = e.gradient * factor, s1 = e.state1, s2 = e.state2, s3 = e.state3;
    g = g > u.clip_value ? u.clip_value : g < -u.clip_value ? -u.clip_value : g;
    if (u.rule == Rule::adamw) {
      w -= t.learning_rate * t.weight_decay * w;
    } else {
      g = fmaf(t.weight_decay, w, g);
    }
    switch (u.rule) {
      case Rule::gradient_descent: w -= t.learning_rate * g; break;
      case Rule::momentum:
        s1 = fmaf(u.decay1, s1, g);
        w -= t.learning_rate * s1;
        break;
      case Rule::nesterov:
        s1 = fmaf(u.decay1, s1, g);
        w -= t.learning_rate * fmaf(u.decay1, s1, g);
        break;
      case Rule::adagrad:
        s1 = fmaf(g, g, s1);
        w -= t.learning_rate * g / (sqrtf(s1) + u.epsilon);
        break;
      case Rule::adadelta: {
        s1 = fmaf(u.decay1, s1, u.rest1 * g * g);
        const float delta = sqrtf(s2 + u.epsilon) / sqrtf(s1 + u.epsilon) * g;
        s2 = fmaf(u.decay1, s2, u.rest1 * delta * delta);
        w -= t.learning_rate * delta;
        break;
      }
      case Rule::adam:
      case Rule::adamw:
        s1 = fmaf(u.decay1, s1, u.rest1 * g);
        s2 = fmaf(u.decay2, s2, u.rest2 * g * g);
        if (t.state3) s3 = s2 <= s3 ? s3 : s2;  // NaN wins
        w -= t.learning_rate / u.correction1 * s1 / (sqrtf(t.state3 ? s3 : s2) / u.correction2 + u.epsilon);
        break;
    }
    t.w[i] = w;
    if (t.state1) t.state1[i] = s1;
    if (t.state2) t.state2[i] = s2;
    if (t.state3) t.state3[i] = s3;
  };
  stream_elements(begin + threadIdx.x, end, std::int64_t{threads_per_block}, read, write);
}

}  // namespace

void optimizer_step(const Update& update, const UpdateTensor* tensors, const Reals* gradients,
                    std::int64_t tensor_count) {
  std::vector<Widened> wide;
  wide.reserve(static_cast<std::size_t>(tensor_count));
  for (std::int64_t t = 0; t < tensor_count; ++t) wide.emplace_back(gradients[t], tensors[t].count);
  // Small networks would leave most of the GPU idle in larger blocks.
  std::int64_t elements = 0;
  for (std::int64_t t = 0; t < tensor_count; ++t) elements += tensors[t].count;
  const int elements_a_block = (elements < many_elements ? 4 : 16) * threads_per_block;
  std::vector<Tensors> launches;
  std::int64_t all_blocks = 0;
  for (std::int64_t first = 0; first < tensor_count; first += tensors_a_launch) {
    Tensors launched{};
    launched.elements_a_block = elements_a_block;
    for (std::int64_t t = first; t < tensor_count && t < first + tensors_a_launch; ++t) {
      const std::int64_t blocks = (tensors[t].count + elements_a_block - 1) / elements_a_block;
      if (blocks == 0) continue;
      launched.each[launched.count] = tensors[t];
      launched.each[launched.count].gradient = wide[static_cast<std::size_t>(t)];
      launched.number[launched.count] = static_cast<int>(t);
      launched.first_block[launched.count + 1] = launched.first_block[launched.count] + static_cast<unsigned>(blocks);
      ++launched.count;
    }
    if (launched.count == 0) continue;
    launches.push_back(launched);
    all_blocks += launched.first_block[launched.count];
  }
  const auto blocks_of = [](const Tensors& each) { return each.first_block[each.count]; };
  const bool clips = update.clip_norm < HUGE_VAL && all_blocks > 0;
  DeviceScratch<double> squares(clips ? all_blocks + 1 : 1);
  double* sum = squares.data() + (clips ? all_blocks : 0);
  if (clips) {
    std::int64_t at = 0;
    for (const Tensors& each : launches) {
      launch(square_kernel, blocks_of(each), threads_per_block, each, squares.data() + at);
      at += blocks_of(each);
    }
    finish_sum(squares.data(), static_cast<int>(all_blocks), 1.0, nullptr, sum);
  }
  for (const Tensors& each : launches) {
    launch(update_kernel, blocks_of(each), threads_per_block, update, each, clips ? sum : nullptr);
  }
}

}  // namespace dip::cuda
