#include "core/copy_kernels.h"

#include "core/check.h"
#include "core/device.h"

namespace dip::cuda {
namespace {

constexpr int most_axes = 8;

struct Layout {
  int axes;
  std::int64_t shape[most_axes], strides[most_axes];
};

template <class T>
__global__ void copy_kernel(Layout layout, std::int64_t count, const T* from, T* to) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) {
    std::int64_t rest = i, at = 0;
    for (int axis = layout.axes - 1; axis >= 0; --axis) {
      at += rest % layout.shape[axis] * layout.strides[axis];
      rest /= layout.shape[axis];
    }
    to[i] = from[at];
  }
}

__global__ void widen_kernel(std::int64_t count, const std::int32_t* from, std::int64_t* to) {
  for (std::int64_t i = first_element(); i < count; i += element_step()) to[i] = from[i];
}

template <class T>
void copy_as(const Layout& layout, std::int64_t count, const void* from, void* to) {
  launch_elements(copy_kernel<T>, count, layout, count, static_cast<const T*>(from), static_cast<T*>(to));
}

}  // namespace

void copy_strided(void* to, const void* from, std::int64_t bytes, std::int64_t count, const Shape& shape,
                  const Shape& strides) {
  check(shape.size() <= most_axes, "an array on the GPU that is not contiguous may have up to ", most_axes,
        " dimensions, got shape ", to_string(shape));
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

void widen(std::int64_t* to, const std::int32_t* from, std::int64_t count) {
  launch_elements(widen_kernel, count, count, from, to);
}

}  // namespace dip::cuda
