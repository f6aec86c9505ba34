// The host backend's arrays: numpy.ndarray.
#include <pybind11/numpy.h>

#include "bind/arguments.h"
#include "bind/contiguous.h"
#include "cpu/memory.h"

namespace dip {
namespace {

py::dtype numpy_dtype(DType dtype) {
  switch (dtype) {
    case DType::int32: return py::dtype::of<std::int32_t>();
    case DType::int64: return py::dtype::of<std::int64_t>();
    case DType::int16: return py::dtype::of<std::int16_t>();
    case DType::int8: return py::dtype::of<std::int8_t>();
    case DType::uint8: return py::dtype::of<std::uint8_t>();
    case DType::uint16: return py::dtype::of<std::uint16_t>();
    case DType::uint32: return py::dtype::of<std::uint32_t>();
    case DType::uint64: return py::dtype::of<std::uint64_t>();
    default: return py::dtype::of<float>();
  }
}

std::string type_name(py::handle object) {
  return py::str(py::type::of(object).attr("__name__"));
}

py::array as_array(py::handle object, const char* op, const char* name) {
  if (!py::isinstance<py::array>(object)) {
    fail<TypeError>(op, ": ", name, " must be a numpy.ndarray, got ", type_name(object));
  }
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

// Below this size the allocators of NumPy and C keep their memory themselves.
constexpr std::int64_t least_kept_result = 64 << 10;

py::array make_result(DType dtype, const Shape& shape) {
  const std::int64_t bytes = element_count(shape, "array") * size_of(dtype);
  if (bytes < least_kept_result) return py::array(numpy_dtype(dtype), shape);
  const py::capsule owner(cpu::take_result_memory(static_cast<std::size_t>(bytes)), cpu::give_result_memory_back);
  return py::array(numpy_dtype(dtype), shape, owner.get_pointer(), owner);
}

}  // namespace

void* Array::stored() {
  if (given_ && !data_) {
    py::array array = contiguous(owner_);
    owner_ = array;
    data_ = const_cast<void*>(array.data());
  }
  return data_;
}

cpu::Reals Array::reals() {
  return data<float>();
}

cpu::RealResults Array::results() {
  return data<float>();
}

py::object Array::object() {
  return owner_;
}

Array Arguments::take(py::handle object, const char* name, const char* layout, std::initializer_list<DType> dtypes,
                      bool) const {
  py::array array = as_array(object, op_, name);
  std::string accepted;
  for (DType dtype : dtypes) {
    if (!array.dtype().equal(numpy_dtype(dtype))) {
      const bool last = dtype == *(dtypes.end() - 1);
      accepted += (accepted.empty() ? "" : last ? " or " : ", ") + std::string(name_of(dtype));
      continue;
    }
    check_layout(shape_of(array), name, layout);
    return Array(array, dtype, shape_of(array));
  }
  throw TypeError(message(op_, ": ", name, " must be ", accepted, ", got ",
                          static_cast<std::string>(py::str(array.dtype())), "; convert it with ", name, ".astype(\"",
                          name_of(*dtypes.begin()), "\")"));
}

Array Arguments::as_labels(Array array) const {
  if (array.dtype() == DType::int64) return array;
  return Array(array.object().attr("astype")(numpy_dtype(DType::int64)), DType::int64, array.shape());
}

Indices Arguments::indices(py::handle object, const char* name, const char* layout, std::int64_t limit,
                           std::int64_t first) const {
  Array array = input_of(object, name, layout, {DType::int32, DType::int64});
  if (array.dtype() == DType::int32) return {std::move(array)};
  check_long_indices(array, name, limit, first);
  return {Array(array.object().attr("astype")(numpy_dtype(DType::int32)), DType::int32, array.shape())};
}

Array Arguments::new_array(DType dtype, const Shape& shape) const {
  return Array(make_result(dtype, shape), dtype, shape);
}

Result Arguments::output(py::handle out, const char* name, const Shape& shape) const {
  element_count(shape, name, op_);  // refuses what no memory holds
  if (out.is_none()) return {new_array(DType::float32, shape)};
  Array array = in_place(out, name);
  check_shape(array, name, shape);
  return {std::move(array)};
}

Array Arguments::in_place(py::handle object, const char* name, DType dtype) const {
  Array array = input(object, name, "*", dtype);
  check_writeable(py::reinterpret_borrow<py::array>(object), op_, name);
  return array;
}

Number::Number(const Arguments&) : on_host_(std::make_shared<double>(0.0)), data_(on_host_.get()) {}

py::object Number::object() {
  return py::float_(*data_);
}

Arguments::Arguments(const char* op) : op_(op) {}
Arguments::~Arguments() = default;

}  // namespace dip
