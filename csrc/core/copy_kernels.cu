#include "core/copy_kernels.h"

#include <stdexcept>

#include "core/check.h"
#include "core/half.h"

namespace dip::cuda {
namespace {

constexpr int most_axes = 8;

struct Layout {
  int axes;
  std::int64_t shape[most_axes], strides[most_axes];
};

template <class T>
__global__ void copy_kernel(Layout layout, std::int64_t count, const T* from, T* to) {
  const auto read = [&](std::int64_t i) {
    std::int64_t rest = i, at = 0;
    for (int axis = layout.axes - 1; axis >= 0; --axis) {
      at += rest % layout.shape[axis] * layout.strides[axis];
      rest /= layout.shape[axis];
    }
    return from[at];
  };
  stream_elements(count, read, [=](std::int64_t i, T value) { to[i] = value; });
}

__device__ float widen(float x) {
  return x;
}
__device__ float widen(Half x) {
  return x.widen();
}
__device__ float widen(Bfloat x) {
  return x.widen();
}
__device__ std::int64_t widen(std::int32_t x) {
  return x;
}

template <class To, class From>
struct Rounded {
  __device__ static To from(From x) { return x; }
};
template <>
struct Rounded<Half, float> {
  __device__ static Half from(float x) { return Half::round(x); }
};
template <>
struct Rounded<Bfloat, float> {
  __device__ static Bfloat from(float x) { return Bfloat::round(x); }
};

template <class To, class From>
__global__ void convert_kernel(std::int64_t count, const From* from, To* to) {
  stream_elements(
      count, [=](std::int64_t i) { return widen(from[i]); },
      [=](std::int64_t i, auto wide) { to[i] = Rounded<To, decltype(wide)>::from(wide); });
}

template <class To, class From>
void launch_convert(void* to, const void* from, std::int64_t count) {
  launch_stream(convert_kernel<To, From>, count, count, static_cast<const From*>(from), static_cast<To*>(to));
}

template <class From>
void convert_from(void* to, DType to_dtype, const void* from, std::int64_t count) {
  switch (to_dtype) {
    case DType::float32: return launch_convert<float, From>(to, from, count);
    case DType::float16: return launch_convert<Half, From>(to, from, count);
    case DType::bfloat16: return launch_convert<Bfloat, From>(to, from, count);
    default: throw std::logic_error("a conversion to a dtype that has none");
  }
}

template <class T>
void copy_as(const Layout& layout, std::int64_t count, const void* from, void* to) {
  launch_stream(copy_kernel<T>, count, layout, count, static_cast<const T*>(from), static_cast<T*>(to));
}

}  // namespace

void copy_strided(void* to, const void* from, std::int64_t bytes, std::int64_t count, const Shape& shape,
                  const Shape& strides) {
  check(shape.size() <= most_axes, "an array on the GPU that is not contiguous may have up to ", most_axes,
        " dimensions, got shape ", shape);
  Layout layout{static_cast<int>(shape.size()), {}, {}};
  for (int axis = 0; axis < layout.axes; ++axis) {
    layout.shape[axis] = shape[axis];
    layout.strides[axis] = strides[axis];
  }
  switch (bytes) {
    case 2: copy_as<std::uint16_t>(layout, count, from, to); break;
    case 4: copy_as<std::uint32_t>(layout, count, from, to); break;
    default: copy_as<std::uint64_t>(layout, count, from, to); break;
  }
}

Widened::Widened(Reals x, std::int64_t count) : data_(static_cast<const float*>(x.data)) {
  if (x.dtype == DType::float32 || !x.data) return;
  memory_ = std::make_unique<DeviceMemory>(count * sizeof(float));
  data_ = static_cast<const float*>(memory_->data());
  convert(memory_->data(), DType::float32, x.data, x.dtype, count);
}

Unrounded::Unrounded(RealResults y, std::int64_t count)
    : result_(y), count_(count), data_(static_cast<float*>(y.data)) {
  if (y.dtype == DType::float32) return;
  memory_ = std::make_unique<DeviceMemory>(count * sizeof(float));
  data_ = static_cast<float*>(memory_->data());
}

void Unrounded::round() const {
  if (memory_) convert(result_.data, result_.dtype, memory_->data(), DType::float32, count_);
}

void convert(void* to, DType to_dtype, const void* from, DType from_dtype, std::int64_t count) {
  switch (from_dtype) {
    case DType::float32: return convert_from<float>(to, to_dtype, from, count);
    case DType::float16: return convert_from<Half>(to, to_dtype, from, count);
    case DType::bfloat16: return convert_from<Bfloat>(to, to_dtype, from, count);
    case DType::int32:
      if (to_dtype == DType::int64) return launch_convert<std::int64_t, std::int32_t>(to, from, count);
      [[fallthrough]];
    default: throw std::logic_error("a conversion from a dtype that has none");
  }
}

}  // namespace dip::cuda
