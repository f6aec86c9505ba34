// dipkernels' own array on the GPU: what operators return there.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include "bind/dlpack.h"
#include "core/tensor.h"
#include "cuda/runtime.h"

namespace dip::cuda {

struct DeviceArray {
  std::shared_ptr<DeviceMemory> memory;  // several views may share it
  void* data = nullptr;
  DType dtype = DType::float32;
  Shape shape;

  std::int64_t count() const { return element_count(shape, "array"); }
  std::int64_t bytes() const { return count() * size_of(dtype); }
};

// A new array in the order of the current stream; its elements are not set.
DeviceArray make_device_array(DType dtype, const Shape& shape);

// A view for another library, which shares the memory and calls the deleter when it is done.
dlpack::ManagedVersioned* export_array(const DeviceArray& array);

void bind_device_array(pybind11::module_& m);

}  // namespace dip::cuda
