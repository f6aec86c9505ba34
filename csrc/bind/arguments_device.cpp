// The GPU backend's arrays: dipkernels' own, and all that speak DLPack or the CUDA array interface, without a copy.
// Results are arrays of the library that the first argument came from.
#include <algorithm>

#include "bind/arguments.h"
#include "bind/device_view.h"
#include "cuda/copy_kernels.h"

namespace dip {
namespace {

using cuda::DeviceArray;
using cuda::Library;
using cuda::View;

// One that extents of 1 and empty arrays cannot spoil.
bool is_contiguous(const Shape& shape, const Shape& strides) {
  if (strides.empty() || element_count(shape, "array") == 0) return true;
  std::int64_t expected = 1;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] != 1 && strides[axis] != expected) return false;
    expected *= shape[axis];
  }
  return true;
}

Array own_array(DType dtype, const Shape& shape) {
  DeviceArray array = cuda::make_device_array(dtype, shape);
  void* data = array.data;
  return Array(py::cast(std::move(array)), dtype, shape, data);
}

Array converted(Array& array, DType dtype) {
  Array result = own_array(dtype, array.shape());
  cuda::convert(result.stored(), dtype, array.stored(), array.dtype(), array.count());
  return result;
}

}  // namespace

void* Array::stored() {
  if (given_ && !strides_.empty()) {
    DeviceArray copy = cuda::make_device_array(stored_dtype_, shape_);
    cuda::copy_strided(copy.data, data_, size_of(stored_dtype_), count_, shape_, strides_);
    data_ = copy.data;
    owner_ = py::cast(std::move(copy));
    strides_.clear();
  }
  return data_;
}

cuda::Reals Array::reals() {
  return {stored(), stored_dtype_};
}

cuda::RealResults Array::results() {
  return {stored(), stored_dtype_};
}

py::object Array::object() {
  return library_ ? cuda::to_library(*library_, owner_.cast<const DeviceArray&>()) : owner_;
}

Array Arguments::take(py::handle object, const char* name, const char* layout, std::initializer_list<DType> dtypes,
                      bool may_widen) const {
  return take_view(cuda::view_of(object, op_, name, false, call_.stream), name, layout, dtypes, may_widen);
}

Array Arguments::take_view(View view, const char* name, const char* layout, std::initializer_list<DType> dtypes,
                           bool may_widen) const {
  const auto is_real = [](DType dtype) {
    return dtype == DType::float32 || dtype == DType::float16 || dtype == DType::bfloat16;
  };
  const bool takes_reals = may_widen && std::find(dtypes.begin(), dtypes.end(), DType::float32) != dtypes.end();
  const auto accepts = [&](DType dtype) {
    return (takes_reals && is_real(dtype)) || std::find(dtypes.begin(), dtypes.end(), dtype) != dtypes.end();
  };
  if (!view.dtype || !accepts(*view.dtype)) {
    std::vector<DType> accepted(dtypes);
    if (takes_reals) accepted.insert(accepted.end(), {DType::float16, DType::bfloat16});
    std::string names;
    for (std::size_t i = 0; i < accepted.size(); ++i) {
      names += (i == 0 ? "" : i + 1 == accepted.size() ? " or " : ", ") + std::string(name_of(accepted[i]));
    }
    fail<TypeError>(op_, ": ", name, " must be ", names, ", got ", view.name_of_dtype(), "; convert it first");
  }
  const DType dtype = *view.dtype;
  check_layout(view.shape, name, layout);
  if (call_.device < 0) {
    call_.device = view.device;
    call_.library = view.library;
    if (call_.device != call_.device_before) cuda::set_device(call_.device);
  }
  if (call_.device != view.device) {
    fail(op_, ": ", name, " is on GPU ", view.device, " and another argument is on GPU ", call_.device,
         ", but they must be on the same one");
  }
  if (is_contiguous(view.shape, view.strides)) view.strides.clear();
  const auto address = reinterpret_cast<std::uintptr_t>(view.data);
  if (address % static_cast<std::uintptr_t>(size_of(dtype)) != 0) {
    fail(op_, ": ", name, " must begin at a multiple of its element size, got address ", address);
  }
  if (!may_widen || !is_real(dtype)) {
    return Array(std::move(view.owner), dtype, std::move(view.shape), view.data, std::move(view.strides));
  }
  if (storage_of_.empty()) {
    storage_of_ = name;
    storage_ = dtype;
  }
  if (dtype != storage_) {
    fail<TypeError>(op_, ": ", name, " must be ", name_of(storage_), " like ", storage_of_, ", got ",
                    view.name_of_dtype(), "; convert it first");
  }
  Array array(std::move(view.owner), DType::float32, std::move(view.shape), view.data, std::move(view.strides));
  array.store_as(dtype);
  return array;
}

Array Arguments::as_labels(Array array) const {
  return array.dtype() == DType::int64 ? array : converted(array, DType::int64);
}

Indices Arguments::indices(py::handle object, const char* name, const char* layout, std::int64_t limit,
                           std::int64_t first) const {
  Array array = input_of(object, name, layout, {DType::int32, DType::int64});
  if (array.dtype() == DType::int32) return {std::move(array)};
  check_long_indices(array, name, limit, first);
  return {converted(array, DType::int32)};
}

// In the library's own memory where it can be: then the array behaves there as any other, in its captures too. Where
// we capture it must be the graph's.
Array Arguments::new_array(DType dtype, const Shape& shape) const {
  const Library* library = call_.library;
  if (library && library->exchange && !cuda::is_capturing()) {
    void* data = nullptr;
    py::object object = cuda::allocate(*library, dtype, shape, call_.device, &data);
    return Array(std::move(object), dtype, shape, data);
  }
  Array array = own_array(dtype, shape);
  if (library && !library->is_own) array.return_as(*library);
  return array;
}

Result Arguments::output(py::handle out, const char* name, const Shape& shape) const {
  element_count(shape, name, op_);  // refuses what no memory holds
  Array result = out.is_none() ? new_array(storage_, shape) : in_place(out, name, storage_);
  if (!out.is_none()) check_shape(result, name, shape);
  return {std::move(result)};
}

Array Arguments::in_place(py::handle object, const char* name, DType dtype) const {
  View view = cuda::view_of(object, op_, name, true, call_.stream);
  check(!view.read_only, op_, ": ", name, " is read-only, and it must be writeable; pass a copy");
  check(is_contiguous(view.shape, view.strides), op_, ": ", name,
        " must be C-contiguous, because it is written in place; pass a contiguous copy");
  // The caller gets back the very object that was passed, not what keeps its memory alive.
  view.owner = py::reinterpret_borrow<py::object>(object);
  return take_view(std::move(view), name, "*", {dtype}, false);
}

Number::Number(const Arguments& args)
    : on_gpu_(args.new_array(DType::float64, {})), data_(static_cast<double*>(on_gpu_.stored())) {}

py::object Number::object() {
  return on_gpu_.object();
}

// Operators run on the GPU that holds their arguments.
Arguments::Arguments(const char* op) : op_(op) {
  cuda::check_device(0);
  cuda::raise_faults();
  call_.device_before = cuda::current_device();
}

Arguments::~Arguments() {
  if (call_.device >= 0 && call_.device != call_.device_before) cuda::set_device(call_.device_before);
}

}  // namespace dip
