#include <algorithm>
#include <vector>

#include "core/parallel.h"
#include "ops/optimizers/kernels.h"
#include "ops/optimizers/optimizers.h"

namespace dip::cpu {

void optimizer_step(const Update& update, const UpdateTensor* tensors, std::int64_t tensor_count) {
  std::int64_t total = 0;
  for (std::int64_t t = 0; t < tensor_count; ++t) total += tensors[t].count;
  const std::int64_t grain = element_grain(total);
  std::vector<UpdateTensor> pieces;
  for (std::int64_t t = 0; t < tensor_count; ++t) {
    const UpdateTensor& whole = tensors[t];
    for (std::int64_t begin = 0; begin < whole.count; begin += grain) {
      pieces.push_back({whole.w + begin, whole.gradient + begin, whole.state1 ? whole.state1 + begin : nullptr,
                        whole.state2 ? whole.state2 + begin : nullptr, std::min(grain, whole.count - begin)});
    }
  }
  parallel_for(static_cast<std::int64_t>(pieces.size()),
               [&](std::int64_t i) { optimizer_kernels().update(update, pieces[i]); });
}

}  // namespace dip::cpu
