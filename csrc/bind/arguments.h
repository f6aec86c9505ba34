// From Python objects to checked tensors. Declared once; what depends on where arrays live is implemented once for each
// kind of memory: arguments_numpy.cpp and arguments_device.cpp.
#pragma once

#include <pybind11/pybind11.h>

#include <array>
#include <memory>
#include <tuple>

#include "bind/call_state.h"
#include "bind/released_lock.h"
#include "core/activation_kind.h"
#include "core/check.h"
#include "core/geometry.h"
#include "core/precision.h"
#include "core/reals.h"
#include "core/tensor.h"

namespace dip {

namespace py = pybind11;

namespace cuda {
struct Library;
struct View;
}  // namespace cuda

// An array argument: its shape can be checked before its data are needed. A non-contiguous array is copied once, when
// its data are first asked for, and never misread.
class Array {
 public:
  Array() = default;
  // `data` and `strides` (in elements; empty where contiguous) are those of a GPU array. NumPy arrays know their own.
  Array(py::object owner, DType dtype, Shape shape, void* data = nullptr, Shape strides = {})
      : owner_(std::move(owner)),
        dtype_(dtype),
        stored_dtype_(dtype),
        shape_(std::move(shape)),
        data_(data),
        strides_(std::move(strides)) {
    count_ = element_count(shape_, "array");
    given_ = true;
  }

  bool given() const { return given_; }  // false for None
  const Shape& shape() const { return shape_; }
  std::int64_t extent(std::size_t axis) const { return shape_[axis]; }
  std::int64_t count() const { return count_; }
  std::int64_t bytes() const { return count_ * size_of(stored_dtype_); }
  // Real numbers are float32 to an operator; on the GPU they may be stored in 16 bits, as reals() and results() say.
  DType dtype() const { return dtype_; }
  void store_as(DType dtype) { stored_dtype_ = dtype; }

  void* stored();  // null where the array is not given
  DIP_BACKEND::Reals reals();
  DIP_BACKEND::RealResults results();
  // Of an array that is stored as what it is.
  template <class T>
  T* data() {
    return static_cast<T*>(stored());
  }

  // A DeviceArray that the caller gets as an array of this library.
  void return_as(const cuda::Library& library) { library_ = &library; }
  // What the caller gets, of the library that the first argument came from.
  py::object object();

 private:
  py::object owner_;
  DType dtype_ = DType::float32, stored_dtype_ = DType::float32;
  Shape shape_;
  std::int64_t count_ = 0;
  bool given_ = false;
  void* data_ = nullptr;
  Shape strides_;
  const cuda::Library* library_ = nullptr;
};

// Arrays whose numbers compute() passes on as what they are.
struct Result : Array {};   // of real numbers, to be written
struct Indices : Array {};  // int32
struct Labels : Array {};   // int64

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

// The functions of a module take objects and give an object back, whatever these are, and read them here: pybind11
// compiles its conversions anew for every list of types, which took longer than all that they lead to. What no user
// gives, but this package's own Python code, is read without the name of an operator.
std::string string_of(py::handle object);
bool is_true(py::handle object);

// Reads the arguments of one call; every error begins with the operator's name and the argument's.
class Arguments {
 public:
  explicit Arguments(const char* op);
  ~Arguments();
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  const char* op() const { return op_; }

  // `layout` names the axes, "NCHW", so its length is the number of dimensions; "*" takes any shape. On the GPU an
  // array of float16 or bfloat16 is taken for one of float32; then all must be of that dtype, and results are.
  Array input(py::handle object, const char* name, const char* layout, DType dtype = DType::float32) const;
  Array optional_input(py::handle object, const char* name, const char* layout, DType dtype = DType::float32) const;

  // A class index or a distribution: whichever of the dtypes the array has.
  Array input_of(py::handle object, const char* name, const char* layout, std::initializer_list<DType> dtypes) const;

  // Class indices of any integer dtype, as int64.
  Labels labels(py::handle object, const char* name, const char* layout) const;
  // The same, or an array of float32 as it is.
  Array labels_or_reals(py::handle object, const char* name, const char* layout) const;

  // int32 indices into planes of `limit` elements, or −1 where `first` is; int64 ones are checked, IndexError for one
  // outside, and narrowed.
  Indices indices(py::handle object, const char* name, const char* layout, std::int64_t limit,
                  std::int64_t first = 0) const;

  // `out`, checked (dtype, shape, contiguous, writeable), or a new array where it is None. Where the arguments are of
  // 16 bits on the GPU, so is this.
  Result output(py::handle out, const char* name, const Shape& shape) const;

  // A new array of int32.
  Indices new_indices(const Shape& shape) const;

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

  // A list or tuple of as many integers as there are, or of one for each axis; and what is padded before and after
  // each.
  Shape integers(py::handle object, const char* name) const;
  template <std::size_t axes>
  std::array<std::int64_t, axes> sizes(py::handle object, const char* name) const {
    std::array<std::int64_t, axes> read;
    read_sizes(object, name, read.data(), axes);
    return read;
  }
  template <std::size_t axes>
  std::array<Pair, axes> padding(py::handle object, const char* name) const {
    std::array<Pair, axes> read;
    read_padding(object, name, read.data(), axes);
    return read;
  }

  py::list list(py::handle object, const char* name) const;

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
  friend class Number;

  // The array as it is, of one of these dtypes; on the GPU 16 bits for float32 where `may_widen`.
  Array take(py::handle object, const char* name, const char* layout, std::initializer_list<DType> dtypes,
             bool may_widen) const;

  Array take_view(cuda::View view, const char* name, const char* layout, std::initializer_list<DType> dtypes,
                  bool may_widen) const;
  Array new_array(DType dtype, const Shape& shape) const;
  Array as_labels(Array array) const;
  void check_long_indices(Array& array, const char* name, std::int64_t limit, std::int64_t first) const;

  void read_sizes(py::handle object, const char* name, std::int64_t* sizes, std::size_t count) const;
  void read_padding(py::handle object, const char* name, Pair* pads, std::size_t count) const;

  // Checks the number of dimensions.
  void check_layout(const Shape& shape, const char* name, const char* layout) const;

  const char* op_;
  mutable DIP_BACKEND::CallState call_;
  mutable std::string storage_of_;  // the first argument of real numbers, and their dtype
  mutable DType storage_ = DType::float32;
};

// What a launcher gets of an argument: the data of arrays, anything else as it is.
inline DIP_BACKEND::Reals data_of(Array& array) {
  return array.reals();
}
inline DIP_BACKEND::RealResults data_of(Result& result) {
  return result.results();
}
inline std::int32_t* data_of(Indices& indices) {
  return indices.data<std::int32_t>();
}
inline std::int64_t* data_of(Labels& labels) {
  return labels.data<std::int64_t>();
}
inline double* data_of(Number& number) {
  return number.data();
}
template <class T>
const T& data_of(const T& value) {
  return value;
}

// launch(data of the parts …), with Python's lock given up. Data come first: an array that must be copied needs it.
template <class Launch, class... Parts>
auto compute(const Launch& launch, Parts&&... parts) {
  const std::tuple<decltype(data_of(parts))...> data{data_of(parts)...};
  const ReleasedLock released;
  return std::apply(launch, data);
}

}  // namespace dip
