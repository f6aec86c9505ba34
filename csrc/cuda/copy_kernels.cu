#include "cuda/copy_kernels.h"

#include <stdexcept>

#include "core/check.h"
#include "cuda/half.h"

namespace dip::cuda {
namespace {

constexpr int most_axes = 8;

struct CopiedAxes {
  int count;
  std::int64_t shape[most_axes], strides[most_axes];
};

template <class T>
__global__ void copy_kernel(CopiedAxes given, std::int64_t count, const T* from, T* to) {
  const auto read = [&](std::int64_t i) {
    std::int64_t rest = i, at = 0;
    for (int axis = given.count - 1; axis >= 0; --axis) {
      at += rest % given.shape[axis] * given.strides[axis];
      rest /= given.shape[axis];
    }
    return from[at];
  };
  stream_elements(count, read, [=](std::int64_t i, T value) { to[i] = value; });
}

__global__ void convert_kernel(std::int64_t count, Reals from, RealResults to) {
  stream_elements(
      count, [=](std::int64_t i) { return read(from, i); }, [=](std::int64_t i, float value) { write(to, i, value); });
}

template <class From, class To>
__global__ void convert_integers_kernel(std::int64_t count, const From* from, To* to) {
  stream_elements(
      count, [=](std::int64_t i) { return from[i]; },
      [=](std::int64_t i, From value) { to[i] = static_cast<To>(value); });
}

bool is_real(DType dtype) {
  return dtype == DType::float32 || dtype == DType::float16 || dtype == DType::bfloat16;
}

template <class T>
void copy_as(const CopiedAxes& given, std::int64_t count, const void* from, void* to) {
  launch_stream(copy_kernel<T>, count, given, count, static_cast<const T*>(from), static_cast<T*>(to));
}

template <class From, class To>
void convert_integers(void* to, const void* from, std::int64_t count) {
  launch_stream(convert_integers_kernel<From, To>, count, count, static_cast<const From*>(from), static_cast<To*>(to));
}

// Whether there is such a conversion.
bool widen(void* to, const void* from, DType from_dtype, std::int64_t count) {
  switch (from_dtype) {
    case DType::int8: convert_integers<std::int8_t, std::int64_t>(to, from, count); return true;
    case DType::int16: convert_integers<std::int16_t, std::int64_t>(to, from, count); return true;
    case DType::int32: convert_integers<std::int32_t, std::int64_t>(to, from, count); return true;
    case DType::uint8: convert_integers<std::uint8_t, std::int64_t>(to, from, count); return true;
    case DType::uint16: convert_integers<std::uint16_t, std::int64_t>(to, from, count); return true;
    case DType::uint32: convert_integers<std::uint32_t, std::int64_t>(to, from, count); return true;
    case DType::uint64: convert_integers<std::uint64_t, std::int64_t>(to, from, count); return true;
    default: return false;
  }
}

}  // namespace

void copy_strided(void* to, const void* from, std::int64_t bytes, std::int64_t count, const Shape& shape,
                  const Shape& strides) {
  check(shape.size() <= most_axes, "an array on the GPU that is not contiguous may have up to ", most_axes,
        " dimensions, got shape ", shape);
  CopiedAxes given{static_cast<int>(shape.size()), {}, {}};
  for (int axis = 0; axis < given.count; ++axis) {
    given.shape[axis] = shape[axis];
    given.strides[axis] = strides[axis];
  }
  switch (bytes) {
    case 1: copy_as<std::uint8_t>(given, count, from, to); break;
    case 2: copy_as<std::uint16_t>(given, count, from, to); break;
    case 4: copy_as<std::uint32_t>(given, count, from, to); break;
    default: copy_as<std::uint64_t>(given, count, from, to); break;
  }
}

Widened::Widened(Reals x, std::int64_t count) : data_(static_cast<const float*>(x.data)) {
  if (x.dtype == DType::float32 || !x.data) return;
  memory_ = std::make_unique<DeviceMemory>(count * sizeof(float));
  data_ = static_cast<const float*>(memory_->data());
  convert(memory_->data(), DType::float32, x.data, x.dtype, count);
}

void in_float32(RealResults y, std::int64_t count, const std::function<void(float*)>& compute) {
  if (y.dtype == DType::float32) return compute(static_cast<float*>(y.data));
  const DeviceScratch<float> result(count);
  compute(result.data());
  convert(y.data, y.dtype, result.data(), DType::float32, count);
}

void in_float32_or_scratch(RealResults y, std::int64_t count, const std::function<void(float*)>& compute) {
  if (y.data) return in_float32(y, count, compute);
  const DeviceScratch<float> scratch(count);
  compute(scratch.data());
}

void convert(void* to, DType to_dtype, const void* from, DType from_dtype, std::int64_t count) {
  if (to_dtype == DType::int64 && widen(to, from, from_dtype, count)) return;
  if (to_dtype == DType::int32 && from_dtype == DType::int64) {
    return convert_integers<std::int64_t, std::int32_t>(to, from, count);
  }
  if (!is_real(from_dtype) || !is_real(to_dtype)) throw std::logic_error("a conversion between dtypes that has none");
  launch_stream(convert_kernel, count, count, Reals(from, from_dtype), RealResults(to, to_dtype));
}

}  // namespace dip::cuda
