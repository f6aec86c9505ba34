#include "core/indices.h"

#include "cuda/half.h"
#include "cuda/value_check.h"

namespace dip::cuda {
namespace {

struct OutsideInt32 {
  const std::int32_t* indices;
  std::int64_t first, limit;
  __device__ bool operator()(std::int64_t i) const { return indices[i] < first || indices[i] >= limit; }
  __device__ double value(std::int64_t i) const { return indices[i]; }
};

struct OutsideInt64 {
  const std::int64_t* indices;
  std::int64_t limit, except;
  __device__ bool operator()(std::int64_t i) const {
    return (indices[i] < 0 || indices[i] >= limit) && indices[i] != except;
  }
  __device__ double value(std::int64_t i) const { return static_cast<double>(indices[i]); }
};

struct Improper {
  Reals values;
  __device__ float at(std::int64_t i) const { return read(values, i); }
  __device__ bool operator()(std::int64_t i) const { return !(at(i) >= 0.0f && at(i) <= 3.4028235e38f); }
  __device__ double value(std::int64_t i) const { return at(i); }
};

}  // namespace

void check_indices(const std::int32_t* indices, std::int64_t count, std::int64_t first, std::int64_t limit,
                   Describe describe) {
  check_none<IndexError>(OutsideInt32{indices, first, limit}, count, std::move(describe));
}

void check_labels(const std::int64_t* labels, std::int64_t count, std::int64_t limit, std::int64_t except,
                  Describe describe) {
  check_none<IndexError>(OutsideInt64{labels, limit, except}, count, std::move(describe));
}

void check_proper(Reals values, std::int64_t count, Describe describe) {
  check_none<ValueError>(Improper{values}, count, std::move(describe));
}

}  // namespace dip::cuda
