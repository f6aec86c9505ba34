// The host backend's arrays: numpy.ndarray.
#include <pybind11/numpy.h>

#include "core/arguments.h"

namespace dip {
namespace {

py::dtype numpy_dtype(DType dtype) {
  switch (dtype) {
    case DType::int32: return py::dtype::of<std::int32_t>();
    case DType::int64: return py::dtype::of<std::int64_t>();
    default: return py::dtype::of<float>();
  }
}

std::string type_name(py::handle object) {
  return py::str(py::type::of(object).attr("__name__"));
}

py::array as_array(py::handle object, const char* op, const char* name) {
  check<TypeError>(py::isinstance<py::array>(object), op, ": ", name, " must be a numpy.ndarray, got ",
                   type_name(object));
  const bool plain = Py_TYPE(object.ptr()) == py::detail::npy_api::get().PyArray_Type_;
  check<TypeError>(plain || !py::hasattr(object, "mask"), op, ": ", name,
                   " is a masked array, whose mask would be lost; pass ", name, ".filled(value)");
  return py::reinterpret_borrow<py::array>(object);
}

Shape shape_of(const py::array& array) {
  return Shape(array.shape(), array.shape() + array.ndim());
}

void check_writeable(const py::array& array, const char* op, const char* name) {
  check(array.writeable(), op, ": ", name, " is read-only, and it must be writeable; pass a copy");
  check((array.flags() & py::array::c_style) != 0, op, ": ", name,
        " must be C-contiguous, because it is written in place; pass np.ascontiguousarray(", name, ")");
}

}  // namespace

const Tensor& Array::tensor() {
  if (given_ && !tensor_.data) {
    // c_style copies where the strides are not those of a contiguous array; an unaligned one is copied by forcecast.
    py::array array = py::array::ensure(owner_, py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_);
    if (!array) throw py::error_already_set();
    owner_ = array;
    tensor_.data = const_cast<void*>(array.data());
  }
  return tensor_;
}

Array Arguments::input_of(py::handle object, const char* name, const char* layout,
                          std::initializer_list<DType> dtypes) const {
  py::array array = as_array(object, op_, name);
  std::string accepted;
  for (DType dtype : dtypes) {
    if (!array.dtype().equal(numpy_dtype(dtype))) {
      accepted += (accepted.empty() ? "" : " or ") + std::string(name_of(dtype));
      continue;
    }
    const std::string axes = layout;
    if (axes != "*") {
      std::string named;
      for (char axis : axes) named += (named.empty() ? "" : ", ") + std::string(1, axis);
      check(array.ndim() == static_cast<py::ssize_t>(axes.size()), op_, ": ", name, " must have ", axes.size(),
            axes.size() == 1 ? " dimension (" : " dimensions (", named, "), got shape ", to_string(shape_of(array)));
    }
    return Array(array, dtype, shape_of(array));
  }
  throw TypeError(message(op_, ": ", name, " must be ", accepted, ", got ",
                          static_cast<std::string>(py::str(array.dtype())), "; convert it with ", name, ".astype(\"",
                          name_of(*dtypes.begin()), "\")"));
}

Array Arguments::input(py::handle object, const char* name, const char* layout, DType dtype) const {
  return input_of(object, name, layout, {dtype});
}

Array Arguments::optional_input(py::handle object, const char* name, const char* layout, DType dtype) const {
  return object.is_none() ? Array() : input(object, name, layout, dtype);
}

Array Arguments::output(py::handle out, const char* name, const Shape& shape, DType dtype) const {
  element_count(shape, message(op_, ": ", name).c_str());  // refuses what no memory holds
  if (out.is_none()) {
    return Array(py::array(numpy_dtype(dtype), shape), dtype, shape);
  }
  Array array = in_place(out, name, dtype);
  check_shape(array, name, shape);
  return array;
}

Array Arguments::in_place(py::handle object, const char* name, DType dtype) const {
  Array array = input(object, name, "*", dtype);
  check_writeable(py::reinterpret_borrow<py::array>(object), op_, name);
  return array;
}

void Arguments::check_apart(Array& out, Array& in, const char* in_name, bool same_allowed) const {
  if (!out.given() || !in.given() || out.count() == 0 || in.count() == 0) return;
  const char* a = static_cast<const char*>(out.tensor().data);
  const char* b = static_cast<const char*>(in.tensor().data);
  if (same_allowed && a == b && out.bytes() == in.bytes()) return;
  check(a + out.bytes() <= b || b + in.bytes() <= a, op_, ": the result overlaps ", in_name,
        " in memory; pass an array of its own");
}

void Arguments::check_shape(const Array& array, const char* name, const Shape& expected) const {
  check(array.shape() == expected, op_, ": ", name, " must have shape ", to_string(expected), ", got ",
        to_string(array.shape()));
}

}  // namespace dip
