// What is the same for the arrays of every backend.
#include "bind/arguments.h"

#include "core/indices.h"

#include <string_view>

namespace dip {

Array Arguments::input(py::handle object, const char* name, const char* layout, DType dtype) const {
  return input_of(object, name, layout, {dtype});
}

Array Arguments::input_of(py::handle object, const char* name, const char* layout,
                          std::initializer_list<DType> dtypes) const {
  return take(object, name, layout, dtypes, true);
}

Array Arguments::optional_input(py::handle object, const char* name, const char* layout, DType dtype) const {
  return object.is_none() ? Array() : input(object, name, layout, dtype);
}

Labels Arguments::labels(py::handle object, const char* name, const char* layout) const {
  return {as_labels(input_of(object, name, layout,
                             {DType::int64, DType::int32, DType::int16, DType::int8, DType::uint8, DType::uint16,
                              DType::uint32, DType::uint64}))};
}

Array Arguments::labels_or_reals(py::handle object, const char* name, const char* layout) const {
  Array array = input_of(object, name, layout,
                         {DType::int64, DType::int32, DType::int16, DType::int8, DType::uint8, DType::uint16,
                          DType::uint32, DType::uint64, DType::float32});
  return array.dtype() == DType::float32 ? array : as_labels(std::move(array));
}

void Arguments::check_long_indices(Array& array, const char* name, std::int64_t limit, std::int64_t first) const {
  const auto describe = [op = std::string(op_), name = std::string(name), shape = array.shape(), limit, first](
                            std::int64_t at, double value) {
    Shape position(shape.size());
    for (std::size_t axis = shape.size(); axis-- > 0; at /= shape[axis]) position[axis] = at % shape[axis];
    return message(op, ": ", name, position, " is ", static_cast<std::int64_t>(value), ": it must be from ", first,
                   " to ", limit - 1);
  };
  DIP_BACKEND::check_labels(array.data<std::int64_t>(), array.count(), limit, first, describe);
}

Indices Arguments::new_indices(const Shape& shape) const {
  element_count(shape, "indices", op_);
  return {new_array(DType::int32, shape)};
}

void Arguments::check_layout(const Shape& shape, const char* name, const char* layout) const {
  const std::string_view axes = layout;
  if (axes == "*" || shape.size() == axes.size()) return;
  std::string named;
  for (char axis : axes) named += (named.empty() ? "" : ", ") + std::string(1, axis);
  fail(op_, ": ", name, " must have ", axes.size(), axes.size() == 1 ? " dimension (" : " dimensions (", named,
       "), got shape ", shape);
}

void Arguments::check_apart(Array& out, Array& in, const char* in_name, bool same_allowed) const {
  if (!out.given() || !in.given() || out.count() == 0 || in.count() == 0) return;
  const char* a = static_cast<const char*>(out.stored());
  const char* b = static_cast<const char*>(in.stored());
  if (same_allowed && a == b && out.bytes() == in.bytes()) return;
  check(a + out.bytes() <= b || b + in.bytes() <= a, op_, ": the result overlaps ", in_name,
        " in memory; pass an array of its own");
}

void Arguments::check_shape(const Array& array, const char* name, const Shape& expected) const {
  check(array.shape() == expected, op_, ": ", name, " must have shape ", expected, ", got ", array.shape());
}

namespace {

bool has_no_axes(py::handle object) {
  return py::hasattr(object, "ndim") && py::object(object.attr("ndim")).equal(py::int_(0));
}

// What was given instead, in a few words.
std::string described(py::handle object) {
  if (py::hasattr(object, "shape") && !has_no_axes(object)) {
    return message("an array of shape ", static_cast<std::string>(py::str(object.attr("shape"))));
  }
  std::string text = py::repr(object);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

[[noreturn]] void refuse(const char* op, const char* name, const char* wanted, py::handle object) {
  fail<TypeError>(op, ": ", name, " must be ", wanted, ", got ", described(object));
}

// A truth value is no number, though Python would take it for one.
bool is_truth(py::handle object) {
  return PyBool_Check(object.ptr()) || std::string_view(Py_TYPE(object.ptr())->tp_name).substr(0, 10) == "numpy.bool";
}

// A Python int; null for what is none.
py::object as_index(py::handle object) {
  if (is_truth(object) || !PyIndex_Check(object.ptr())) return {};
  py::object index = py::reinterpret_steal<py::object>(PyNumber_Index(object.ptr()));
  if (!index) PyErr_Clear();
  return index;
}

std::string as_text(const char* op, const char* name, py::handle object) {
  if (!PyUnicode_Check(object.ptr())) refuse(op, name, "a string", object);
  Py_ssize_t size = 0;
  const char* text = PyUnicode_AsUTF8AndSize(object.ptr(), &size);
  if (!text) throw py::error_already_set();
  return {text, static_cast<std::size_t>(size)};
}

py::sequence as_sequence(const char* op, const char* name, py::handle object) {
  if (!PyTuple_Check(object.ptr()) && !PyList_Check(object.ptr())) refuse(op, name, "a tuple or list", object);
  return py::reinterpret_borrow<py::sequence>(object);
}

py::sequence as_sequence_of(const char* op, const char* name, py::handle object, std::size_t count) {
  py::sequence sequence = as_sequence(op, name, object);
  check(sequence.size() == count, op, ": ", name, " must have ", count, " entries, got ", sequence.size());
  return sequence;
}

}  // namespace

std::int64_t Arguments::integer(py::handle object, const char* name) const {
  const py::object index = as_index(object);
  if (!index) refuse(op_, name, "an int", object);
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
  if (overflow != 0) fail(op_, ": ", name, " must be from -2^63 to 2^63 - 1, got ", described(index));
  return value;
}

std::uint64_t Arguments::natural(py::handle object, const char* name) const {
  const py::object index = as_index(object);
  if (!index) refuse(op_, name, "an int", object);
  const unsigned long long value = PyLong_AsUnsignedLongLong(index.ptr());
  if (PyErr_Occurred()) {
    PyErr_Clear();
    fail(op_, ": ", name, " must be from 0 to 2^64 - 1, got ", described(index));
  }
  return value;
}

double Arguments::real(py::handle object, const char* name) const {
  const bool plain = PyFloat_Check(object.ptr()) || PyLong_Check(object.ptr());
  if (is_truth(object) || (!plain && !has_no_axes(object))) refuse(op_, name, "a number", object);
  const double value = PyFloat_AsDouble(object.ptr());
  if (PyErr_Occurred()) {
    const bool too_large = PyErr_ExceptionMatches(PyExc_OverflowError);
    PyErr_Clear();
    if (too_large) fail(op_, ": ", name, " must be a number that a float holds, got ", described(object));
    refuse(op_, name, "a number", object);
  }
  return value;
}

bool Arguments::flag(py::handle object, const char* name) const {
  if (!is_truth(object)) refuse(op_, name, "True or False", object);
  return PyObject_IsTrue(object.ptr()) == 1;
}

std::string Arguments::text(py::handle object, const char* name) const {
  return as_text(op_, name, object);
}

Shape Arguments::integers(py::handle object, const char* name) const {
  Shape read;
  for (const py::object& each : as_sequence(op_, name, object)) read.push_back(integer(each, name));
  return read;
}

void Arguments::read_sizes(py::handle object, const char* name, std::int64_t* sizes, std::size_t count) const {
  const py::sequence given = as_sequence_of(op_, name, object, count);
  for (std::size_t i = 0; i < count; ++i) sizes[i] = integer(py::object(given[i]), name);
}

void Arguments::read_padding(py::handle object, const char* name, Pair* pads, std::size_t count) const {
  const py::sequence given = as_sequence_of(op_, name, object, count);
  for (std::size_t i = 0; i < count; ++i) pads[i] = sizes<2>(py::object(given[i]), name);
}

py::list Arguments::list(py::handle object, const char* name) const {
  if (!PyList_Check(object.ptr())) refuse(op_, name, "a list", object);
  return py::reinterpret_borrow<py::list>(object);
}

std::string string_of(py::handle object) {
  return as_text("dipkernels", "name", object);
}

bool is_true(py::handle object) {
  return object.ptr() == Py_True;
}

}  // namespace dip
