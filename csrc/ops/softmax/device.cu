// Softmax on the GPU: three passes over a position's classes, in registers or, where they are many, in the cache.
#include "cuda/class_axis.h"
#include "ops/softmax/softmax.h"

namespace dip::cuda {
namespace {

template <class Plan>
__global__ void forward_kernel(Softmax p, Reals x, RealResults y) {
  using Lanes = typename Plan::Lanes;
  for (std::int64_t i = first_position<Lanes>(); i < p.outer * p.inner; i += position_step<Lanes>()) {
    const std::int64_t at = i / p.inner * p.classes * p.inner + i % p.inner;
    Classes<Plan> numbers(x, at, p.classes, p.inner);
    const float maximum = numbers.maximum();
    typename Plan::Sum own;
    if (p.logarithm) {
      numbers.each([&](std::int64_t, float value) { own.add(expf(value - maximum)); });
      const float shift = logf(Lanes::sum(own.total()));
      numbers.each([&](std::int64_t c, float value) { write(y, at + c * p.inner, (value - maximum) - shift); });
    } else {
      numbers.exponentiate(maximum, [&](std::int64_t, float, float power) { own.add(power); });
      const float inverse = 1.0f / Lanes::sum(own.total());
      numbers.each([&](std::int64_t c, float x_or_power) {
        write(y, at + c * p.inner, Classes<Plan>::exponential(x_or_power, maximum) * inverse);
      });
    }
  }
}

template <class Plan>
__global__ void backward_kernel(Softmax p, Reals dy, Reals y, RealResults dx) {
  using Lanes = typename Plan::Lanes;
  for (std::int64_t i = first_position<Lanes>(); i < p.outer * p.inner; i += position_step<Lanes>()) {
    const std::int64_t at = i / p.inner * p.classes * p.inner + i % p.inner;
    typename Plan::Sum own;
    for (std::int64_t c = Lanes::first(); c < p.classes; c += Lanes::count) {
      const std::int64_t j = at + c * p.inner;
      own.add_product(read(dy, j), p.logarithm ? 1.0f : read(y, j));
    }
    const float sum = Lanes::sum(own.total());
    for (std::int64_t c = Lanes::first(); c < p.classes; c += Lanes::count) {
      const std::int64_t j = at + c * p.inner;
      const float slope = read(dy, j), result = read(y, j);
      write(dx, j, p.logarithm ? slope - expf(result) * sum : result * (slope - sum));
    }
  }
}

}  // namespace

void softmax_forward(const Softmax& p, Reals x, RealResults y) {
  plan_classes(p.classes, p.inner,
               [&](auto plan) { launch_positions(plan, forward_kernel<decltype(plan)>, p.outer * p.inner, p, x, y); });
}

void softmax_backward(const Softmax& p, Reals dy, Reals y, RealResults dx) {
  const auto launch = [&](auto plan) {
    launch_positions(plan, backward_kernel<decltype(plan)>, p.outer * p.inner, p, dy, y, dx);
  };
  p.inner == 1 ? launch(ClassPlan<WarpLanes, 0>{}) : launch(ClassPlan<ThreadLanes, 0>{});
}

}  // namespace dip::cuda
