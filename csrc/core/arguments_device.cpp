// The GPU backend's arrays: dipkernels' own, and all that speak DLPack or the CUDA array interface, without a copy.
#include "core/arguments.h"
#include "core/copy_kernels.h"
#include "core/device_array.h"
#include "core/dlpack.h"

namespace dip {
namespace {

using cuda::DeviceArray;

std::string type_name(py::handle object) {
  return py::str(py::type::of(object).attr("__name__"));
}

// An array of another library, as its protocol describes it.
struct View {
  py::object owner;  // keeps the memory alive
  void* data = nullptr;
  std::string dtype;
  Shape shape, strides;  // strides in elements; empty where contiguous
  int device = 0;
  bool read_only = false;
};

bool has_dlpack_on_gpu(py::handle object) {
  if (!py::hasattr(object, "__dlpack__") || !py::hasattr(object, "__dlpack_device__")) return false;
  const int type = object.attr("__dlpack_device__")().cast<py::tuple>()[0].cast<int>();
  return type == dlpack::device_cuda || type == dlpack::device_cuda_managed;
}

std::string dlpack_dtype(const dlpack::DataType& dtype) {
  const char* kinds[] = {"int", "uint", "float", "opaque", "bfloat", "complex", "bool"};
  const std::string kind = dtype.code < std::size(kinds) ? kinds[dtype.code] : "unknown";
  if (dtype.lanes != 1) return kind + " with " + std::to_string(dtype.lanes) + " lanes";
  return kind == "bool" ? kind : kind + std::to_string(dtype.bits);
}

template <class Managed>
View take_capsule(py::object capsule, const char* name, const char* used_name) {
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule.ptr(), name));
  if (!managed) throw py::error_already_set();
  const dlpack::Tensor& tensor = managed->tensor;
  View view;
  view.data = static_cast<char*>(tensor.data) + tensor.byte_offset;
  view.dtype = dlpack_dtype(tensor.dtype);
  view.shape.assign(tensor.shape, tensor.shape + tensor.ndim);
  if (tensor.strides) view.strides.assign(tensor.strides, tensor.strides + tensor.ndim);
  view.device = tensor.device.id;
  // The consumer marks the capsule as used and calls the deleter when it is done.
  PyCapsule_SetName(capsule.ptr(), used_name);
  view.owner = py::capsule(managed, [](void* pointer) {
    auto* each = static_cast<Managed*>(pointer);
    if (each->deleter) each->deleter(each);
  });
  return view;
}

View take_dlpack(py::handle object) {
  const cuda::Stream stream = cuda::current_stream();
  const auto handle = stream ? static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(stream)) : 1;
  py::object capsule;
  try {
    capsule = object.attr("__dlpack__")(py::arg("stream") = handle, py::arg("max_version") = py::make_tuple(1, 0));
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) throw;  // a producer from before DLPack 1.0 does not know max_version
    capsule = object.attr("__dlpack__")(py::arg("stream") = handle);
  }
  if (!PyCapsule_IsValid(capsule.ptr(), "dltensor_versioned")) {
    return take_capsule<dlpack::Managed>(capsule, "dltensor", "used_dltensor");
  }
  const auto* managed =
      static_cast<dlpack::ManagedVersioned*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor_versioned"));
  const bool read_only = (managed->flags & dlpack::flag_read_only) != 0;
  View view = take_capsule<dlpack::ManagedVersioned>(capsule, "dltensor_versioned", "used_dltensor_versioned");
  view.read_only = read_only;
  return view;
}

View take_cuda_array_interface(py::handle object) {
  const py::dict interface = object.attr("__cuda_array_interface__");
  View view;
  view.owner = py::reinterpret_borrow<py::object>(object);
  const py::tuple data = interface["data"];
  view.data = reinterpret_cast<void*>(data[0].cast<std::uintptr_t>());
  view.read_only = data[1].cast<bool>();
  const py::object dtype = py::module_::import("numpy").attr("dtype")(interface["typestr"]);
  view.dtype = static_cast<std::string>(py::str(dtype));
  view.shape = interface["shape"].cast<Shape>();
  if (interface.contains("strides") && !interface["strides"].is_none()) {
    view.strides = interface["strides"].cast<Shape>();
    const auto bytes = dtype.attr("itemsize").cast<std::int64_t>();
    for (std::int64_t& stride : view.strides) {
      check(stride % bytes == 0, "its strides in bytes must be multiples of the element size, ", bytes, ", got ",
            stride);
      stride /= bytes;
    }
  }
  const bool empty = element_count(view.shape, "array") == 0;
  view.device = empty ? cuda::current_device() : cuda::device_of(view.data);
  if (interface.contains("stream") && !interface["stream"].is_none()) {
    const auto number = interface["stream"].cast<std::int64_t>();
    check(number != 0, "its stream must not be 0, which could mean two streams");
    cuda::wait_for(cuda::current_stream(),
                   number == 1 ? nullptr : reinterpret_cast<cuda::Stream>(static_cast<std::uintptr_t>(number)));
  }
  return view;
}

View view_of(py::handle object, const char* op, const char* name) {
  if (py::isinstance<DeviceArray>(object)) {
    const auto& array = object.cast<const DeviceArray&>();
    array.memory->use_in_current_stream();
    return {py::reinterpret_borrow<py::object>(object),
            array.data,
            name_of(array.dtype),
            array.shape,
            {},
            array.memory->device(),
            false};
  }
  const bool dlpack = has_dlpack_on_gpu(object);
  check<TypeError>(dlpack || py::hasattr(object, "__cuda_array_interface__"), op, ": ", name,
                   " must be an array on the GPU like the others, got ", type_name(object),
                   "; dipkernels.cuda.to_device copies a NumPy array there");
  try {
    return dlpack ? take_dlpack(object) : take_cuda_array_interface(object);
  } catch (const py::error_already_set& error) {
    throw TypeError(message(op, ": ", name, ", got ", type_name(object), ", cannot be read: ", error.what()));
  } catch (const py::cast_error& error) {
    throw TypeError(message(op, ": ", name, ", got ", type_name(object), ", cannot be read: ", error.what()));
  } catch (const ValueError& error) {
    throw ValueError(message(op, ": ", name, ", got ", type_name(object), ", cannot be read: ", error.what()));
  }
}

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

Array new_array(DType dtype, const Shape& shape) {
  DeviceArray array = cuda::make_device_array(dtype, shape);
  void* data = array.data;
  return Array(py::cast(std::move(array)), dtype, shape, data);
}

Array converted(Array& array, DType dtype) {
  Array result = new_array(dtype, array.shape());
  cuda::convert(result.tensor().data, dtype, array.tensor().data, array.dtype(), array.count());
  return result;
}

}  // namespace

void* Array::stored() {
  if (given_ && !strides_.empty()) {
    DeviceArray copy = cuda::make_device_array(stored_dtype_, tensor_.shape);
    cuda::copy_strided(copy.data, data_, size_of(stored_dtype_), tensor_.count, tensor_.shape, strides_);
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

const Tensor& Array::tensor() {
  if (!given_ || tensor_.data) return tensor_;
  tensor_.data = stored();
  if (stored_dtype_ == tensor_.dtype) return tensor_;
  DeviceArray wide = cuda::make_device_array(tensor_.dtype, tensor_.shape);
  if (!is_result_) cuda::convert(wide.data, tensor_.dtype, data_, stored_dtype_, tensor_.count);
  tensor_.data = wide.data;
  widened_ = py::cast(std::move(wide));
  return tensor_;
}

py::object Array::object() {
  if (is_result_ && widened_) cuda::convert(data_, stored_dtype_, tensor_.data, tensor_.dtype, tensor_.count);
  return owner_;
}

Array Arguments::take(py::handle object, const char* name, const char* layout, std::initializer_list<DType> dtypes,
                      bool may_widen) const {
  View view = view_of(object, op_, name);
  std::string accepted;
  const auto accept = [&](DType dtype, bool last) {
    accepted += (accepted.empty() ? "" : last ? " or " : ", ") + std::string(name_of(dtype));
    return view.dtype == name_of(dtype);
  };
  bool found = false;
  DType dtype{};
  for (const DType* each = dtypes.begin(); each != dtypes.end() && !found; ++each) {
    const bool last = each + 1 == dtypes.end(), real = *each == DType::float32 && may_widen;
    found = accept(dtype = *each, last && !real) ||
            (real && (accept(dtype = DType::float16, false) || accept(dtype = DType::bfloat16, last)));
  }
  check<TypeError>(found, op_, ": ", name, " must be ", accepted, ", got ", view.dtype, "; convert it first");
  check_layout(view.shape, name, layout);
  check(device_ < 0 || device_ == view.device, op_, ": ", name, " is on GPU ", view.device,
        " and another argument is on GPU ", device_, ", but they must be on the same one");
  if (device_ < 0) {
    device_ = view.device;
    cuda::set_device(device_);
  }
  if (is_contiguous(view.shape, view.strides)) view.strides.clear();
  const auto address = reinterpret_cast<std::uintptr_t>(view.data);
  check(address % static_cast<std::uintptr_t>(size_of(dtype)) == 0, op_, ": ", name,
        " must begin at a multiple of its element size, got address ", address);
  const bool real = dtype == DType::float32 || dtype == DType::float16 || dtype == DType::bfloat16;
  if (!real || !may_widen) return Array(view.owner, dtype, view.shape, view.data, view.strides);
  if (storage_of_.empty()) {
    storage_of_ = name;
    storage_ = dtype;
  }
  check<TypeError>(dtype == storage_, op_, ": ", name, " must be ", name_of(storage_), " like ", storage_of_, ", got ",
                   view.dtype, "; convert it first");
  Array array(view.owner, DType::float32, view.shape, view.data, view.strides);
  array.store_as(dtype, false);
  return array;
}

Array Arguments::as_labels(Array array) const {
  return array.dtype() == DType::int64 ? array : converted(array, DType::int64);
}

Array Arguments::indices(py::handle object, const char* name, const char* layout, std::int64_t limit) const {
  Array array = input_of(object, name, layout, {DType::int32, DType::int64});
  if (array.dtype() == DType::int32) return array;
  check_long_indices(array, name, limit);
  return converted(array, DType::int32);
}

Array Arguments::output(py::handle out, const char* name, const Shape& shape, DType dtype) const {
  element_count(shape, name, op_);  // refuses what no memory holds
  const DType stored = dtype == DType::float32 ? storage_ : dtype;
  Array result = out.is_none() ? new_array(stored, shape) : in_place(out, name, stored);
  if (!out.is_none()) check_shape(result, name, shape);
  if (stored == dtype) return result;
  Array real(result.object(), dtype, shape, result.stored());
  real.store_as(stored, true);
  return real;
}

Array Arguments::in_place(py::handle object, const char* name, DType dtype) const {
  const View view = view_of(object, op_, name);
  check(!view.read_only, op_, ": ", name, " is read-only, and it must be writeable; pass a copy");
  check(is_contiguous(view.shape, view.strides), op_, ": ", name,
        " must be C-contiguous, because it is written in place; pass a contiguous copy");
  Array array = take(object, name, "*", {dtype}, false);
  // The caller gets back the very object that was passed, not what keeps its memory alive.
  return Array(py::reinterpret_borrow<py::object>(object), dtype, array.shape(), array.tensor().data);
}

Number::Number() {
  auto array = std::make_shared<DeviceArray>(cuda::make_device_array(DType::float64, {}));
  data_ = static_cast<double*>(array->data);
  memory_ = std::move(array);
}

py::object Number::object() const {
  return py::cast(*static_cast<DeviceArray*>(memory_.get()));
}

// Operators run on the GPU that holds their arguments.
Arguments::Arguments(const char* op) : op_(op) {
  cuda::check_device(0);
  cuda::raise_faults();
  device_before_ = cuda::current_device();
}

Arguments::~Arguments() {
  if (device_ >= 0 && device_ != device_before_) cuda::set_device(device_before_);
}

}  // namespace dip
