#include <algorithm>
#include <vector>

#include "cpu/parallel.h"
#include "ops/optimizers/kernels.h"
#include "ops/optimizers/optimizers.h"

namespace dip::cpu {

void optimizer_step(const Update& update, const UpdateTensor* tensors, const Reals* gradients,
                    std::int64_t tensor_count) {
  std::int64_t total = 0;
  for (std::int64_t t = 0; t < tensor_count; ++t) total += tensors[t].count;
  const std::int64_t grain = element_grain(total);
  std::vector<UpdateTensor> pieces;
  for (std::int64_t t = 0; t < tensor_count; ++t) {
    const UpdateTensor& whole = tensors[t];
    for (std::int64_t begin = 0; begin < whole.count; begin += grain) {
      const auto from = [&](float* state) { return state ? state + begin : nullptr; };
      pieces.push_back({whole.w + begin, gradients[t] + begin, from(whole.state1), from(whole.state2),
                        from(whole.state3), std::min(grain, whole.count - begin), whole.learning_rate,
                        whole.weight_decay});
    }
  }
  const auto count = static_cast<std::int64_t>(pieces.size());
  double factor = 1.0;
  if (update.clip_norm < HUGE_VAL) {
    std::vector<double> squares(pieces.size());
    parallel_for(count, [&](std::int64_t i) {
      squares[i] = optimizer_kernels().sum_of_squares(pieces[i].gradient, pieces[i].count);
    });
    double sum = 0.0;
    for (double each : squares) sum += each;
    factor = clip_factor(std::sqrt(sum), update.clip_norm);
  }
  parallel_for(count,
               [&](std::int64_t i) { optimizer_kernels().update(update, pieces[i], static_cast<float>(factor)); });
}

}  // namespace dip::cpu
