// From Python objects to checked tensors. Declared once; what depends on where arrays live is implemented once for each
// kind of memory: arguments_numpy.cpp and arguments_device.cpp.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <memory>

#include "core/activation_kind.h"
#include "core/call_state.h"
#include "core/check.h"
#include "core/precision.h"
#include "core/reals.h"
#include "core/released_lock.h"
#include "core/tensor.h"

namespace dip {

namespace py = pybind11;

namespace cuda {
struct Library;
struct View;
}  // namespace cuda

// An array argument: its shape can be checked before its data are needed. A non-contiguous array is copied once, at
// the first call of tensor(), and never misread.
class Array {
 public:
  Array() = default;
  // `data` and `strides` (in elements; empty where contiguous) are those of a GPU array. NumPy arrays know their own.
  Array(py::object owner, DType dtype, Shape shape, void* data = nullptr, Shape strides = {})
      : owner_(std::move(owner)), data_(data), strides_(std::move(strides)) {
    tensor_.dtype = stored_dtype_ = dtype;
    tensor_.shape = std::move(shape);
    tensor_.count = element_count(tensor_.shape, "array");
    given_ = true;
  }

  bool given() const { return given_; }  // false for None
  const Shape& shape() const { return tensor_.shape; }
  std::int64_t extent(std::size_t axis) const { return tensor_.shape[axis]; }
  DType dtype() const { return tensor_.dtype; }
  std::int64_t count() const { return tensor_.count; }
  std::int64_t bytes() const { return tensor_.count * size_of(stored_dtype_); }
  const Tensor& tensor();
  // The same as it is stored: on the GPU an array of 16 bits has a tensor() of float32 as soon as one is asked for.
  void* stored();
  DIP_BACKEND::Reals reals();
  DIP_BACKEND::RealResults results();
  void store_as(DType dtype, bool is_result) {
    stored_dtype_ = dtype;
    is_result_ = is_result;
  }
  // Of a result: its tensor() is of this dtype, and rounded at last.
  void compute_in(DType dtype) {
    tensor_.dtype = dtype;
    tensor_.data = nullptr;
    is_result_ = true;
  }
  // A DeviceArray that the caller gets as an array of this library.
  void return_as(const cuda::Library& library) { library_ = &library; }
  // What the caller gets, of the library that the first argument came from. Now is when a result of 16 bits that was
  // computed in float32 is rounded.
  py::object object();

 private:
  py::object owner_;
  Tensor tensor_;
  bool given_ = false;
  void* data_ = nullptr;
  Shape strides_;
  DType stored_dtype_ = DType::float32;
  bool is_result_ = false;  // of 16 bits
  const cuda::Library* library_ = nullptr;
  py::object widened_;  // keeps the memory of a tensor alive that is not `owner_`'s
};

class Arguments;

// A number that an operator computes: a Python float on the host, an array of no dimensions on the GPU, where it would
// have to be waited for.
class Number {
 public:
  explicit Number(const Arguments& args);
  double* data() const { return data_; }
  py::object object();

 private:
  std::shared_ptr<double> on_host_;
  Array on_gpu_;
  double* data_;
};

// Reads the arguments of one call; every error begins with the operator's name and the argument's.
class Arguments {
 public:
  explicit Arguments(const char* op);
  ~Arguments();
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  const char* op() const { return op_; }

  // `layout` names the axes, "NCHW", so its length is the number of dimensions; "*" takes any shape. On the GPU an
  // array of float16 or bfloat16 is taken for one of float32, and widened where it is wanted so; then all must be of
  // that dtype, and results are.
  Array input(py::handle object, const char* name, const char* layout, DType dtype = DType::float32) const;
  Array optional_input(py::handle object, const char* name, const char* layout, DType dtype = DType::float32) const;

  // A class index or a distribution: whichever of the dtypes the array has.
  Array input_of(py::handle object, const char* name, const char* layout, std::initializer_list<DType> dtypes) const;

  // Class indices of any integer dtype, as int64.
  Array labels(py::handle object, const char* name, const char* layout) const;
  // The same, or an array of float32 as it is.
  Array labels_or_reals(py::handle object, const char* name, const char* layout) const;

  // int32 indices into planes of `limit` elements; int64 ones are checked, IndexError for one outside, and narrowed.
  Array indices(py::handle object, const char* name, const char* layout, std::int64_t limit) const;

  // `out`, checked (dtype, shape, contiguous, writeable), or a new array where it is None.
  Array output(py::handle out, const char* name, const Shape& shape, DType dtype = DType::float32) const;

  // An array that the operator updates: contiguous and writeable, never copied.
  Array in_place(py::handle object, const char* name, DType dtype = DType::float32) const;

  // Results must not overlap what they are computed from; element-wise operators allow the very same array.
  void check_apart(Array& out, Array& in, const char* in_name, bool same_allowed = false) const;

  // Scalars, of whatever Python or NumPy type holds one without a loss. TypeError for other objects, ValueError for
  // numbers that are too large; the operator checks what range they must be in.
  std::int64_t integer(py::handle object, const char* name) const;
  std::uint64_t natural(py::handle object, const char* name) const;  // from 0 to 2⁶⁴ − 1
  double real(py::handle object, const char* name) const;
  bool flag(py::handle object, const char* name) const;
  std::string text(py::handle object, const char* name) const;

  void check_shape(const Array& array, const char* name, const Shape& expected) const;

  // What a product of these arguments takes to be as exact as was asked. Numbers of 16 bits have no more than 11
  // significant ones, so Precision::medium multiplies them without an error.
  Precision precision(py::handle name) const {
    const Precision asked = make_precision(op_, text(name, "precision"));
    return storage_ == DType::float32 ? asked : Precision::medium;
  }

  // After the inputs: results are made where those live.
  Number number() const { return Number(*this); }

 private:
  // The array as it is, of one of these dtypes; on the GPU 16 bits for float32 where `may_widen`.
  Array take(py::handle object, const char* name, const char* layout, std::initializer_list<DType> dtypes,
             bool may_widen) const;

  Array take_view(cuda::View view, const char* name, const char* layout, std::initializer_list<DType> dtypes,
                  bool may_widen) const;
  Array as_labels(Array array) const;
  void check_long_indices(Array& array, const char* name, std::int64_t limit) const;

  // Checks the number of dimensions.
  void check_layout(const Shape& shape, const char* name, const char* layout) const;

  const char* op_;
  mutable DIP_BACKEND::CallState call_;
  mutable std::string storage_of_;  // the first argument of real numbers, and their dtype
  mutable DType storage_ = DType::float32;
};

}  // namespace dip
