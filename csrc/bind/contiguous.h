// NumPy's copy of an array that kernels cannot read as it lies.
#pragma once

#include <pybind11/numpy.h>

namespace dip {

// The array itself, or a copy where its strides are not those of a contiguous array, or its address is not aligned.
// What NumPy raises where the copy fails, which py::array::ensure would forget.
inline pybind11::array contiguous(const pybind11::object& array) {
  using pybind11::detail::npy_api;
  constexpr int flags = int{pybind11::array::c_style} | npy_api::NPY_ARRAY_ALIGNED_ | npy_api::NPY_ARRAY_ENSUREARRAY_;
  PyObject* found = npy_api::get().PyArray_FromAny_(array.ptr(), nullptr, 0, 0, flags, nullptr);
  if (!found) throw pybind11::error_already_set();
  return pybind11::reinterpret_steal<pybind11::array>(found);
}

}  // namespace dip
