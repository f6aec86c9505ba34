#include "core/indices.h"

#include "core/device.h"

namespace dip::cuda {
namespace {

struct OutsideInt32 {
  const std::int32_t* indices;
  std::int64_t limit;
  __device__ bool operator()(std::int64_t i) const { return indices[i] < 0 || indices[i] >= limit; }
};

struct OutsideInt64 {
  const std::int64_t* indices;
  std::int64_t limit, except;
  __device__ bool operator()(std::int64_t i) const {
    return (indices[i] < 0 || indices[i] >= limit) && indices[i] != except;
  }
};

struct Improper {
  const float* values;
  __device__ bool operator()(std::int64_t i) const { return !(values[i] >= 0.0f && values[i] <= 3.4028235e38f); }
};

// An integer minimum: the same for every order of the threads.
template <class Bad>
__global__ void find_kernel(Bad bad, std::int64_t count, long long* first) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    if (bad(i)) atomicMin(first, static_cast<long long>(i));
  }
}

template <class Bad>
std::int64_t find_first(Bad bad, std::int64_t count) {
  DeviceScratch<long long> first(1);
  long long found = count;
  copy_to_device(first.data(), &found, 1);
  launch_elements(find_kernel<Bad>, count, bad, count, first.data());
  copy_to_host(&found, first.data(), 1);
  return found < count ? found : -1;
}

}  // namespace

std::int64_t find_outside(const std::int32_t* indices, std::int64_t count, std::int64_t limit) {
  return find_first(OutsideInt32{indices, limit}, count);
}

std::int64_t find_outside(const std::int64_t* indices, std::int64_t count, std::int64_t limit, std::int64_t except) {
  return find_first(OutsideInt64{indices, limit, except}, count);
}

std::int64_t find_improper(const float* values, std::int64_t count) {
  return find_first(Improper{values}, count);
}

}  // namespace dip::cuda
