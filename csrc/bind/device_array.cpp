// DeviceArray for Python: copies to and from NumPy, and the two protocols through which PyTorch, CuPy, JAX and Numba
// see it without a copy.
#include "bind/device_array.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <algorithm>

#include "bind/contiguous.h"
#include "bind/released_lock.h"
#include "bind/storage.h"
#include "core/check.h"
#include "cuda/copy_kernels.h"

namespace dip::cuda {
namespace {

namespace py = pybind11;

using ShapeTuple = py::typing::Tuple<py::int_, py::ellipsis>;

ShapeTuple to_tuple(const Shape& shape) {
  py::tuple tuple(shape.size());
  for (std::size_t i = 0; i < shape.size(); ++i) tuple[i] = shape[i];
  return tuple;
}

// Null where NumPy's dtype is none of ours.
const Storage* storage_of_numpy(const py::array& array) {
  for (const Storage& storage : storages) {
    if (storage.numpy && array.dtype().equal(py::dtype(storage.numpy))) return &storage;
  }
  return nullptr;
}

py::array as_array(const char* op, py::handle object) {
  check<TypeError>(py::isinstance<py::array>(object), op, ": array must be a numpy.ndarray, got ",
                   static_cast<std::string>(py::str(py::type::of(object).attr("__name__"))));
  return py::reinterpret_borrow<py::array>(object);
}

void upload(const DeviceArray& to, py::array from) {
  from = contiguous(from);
  const void* data = from.data();
  const ReleasedLock released;
  copy_to_device(to.data, data, static_cast<std::size_t>(to.bytes()));
}

DeviceArray to_device(py::handle object, int device) {
  const py::array array = as_array("to_device", object);
  const Storage* storage = storage_of_numpy(array);
  check<TypeError>(storage, "to_device: array must be float32, float64, float16 or of integers, got ",
                   static_cast<std::string>(py::str(array.dtype())));
  const int before = current_device();
  set_device(device);
  DeviceArray result = make_device_array(storage->dtype, Shape(array.shape(), array.shape() + array.ndim()));
  upload(result, array);
  set_device(before);
  return result;
}

void set(const DeviceArray& array, py::handle object) {
  const py::array values = as_array("set", object);
  const Storage* storage = storage_of_numpy(values);
  check<TypeError>(storage && storage->dtype == array.dtype, "set: array must be ", name_of(array.dtype), ", got ",
                   static_cast<std::string>(py::str(values.dtype())));
  const Shape shape(values.shape(), values.shape() + values.ndim());
  check(shape == array.shape, "set: array must have shape ", array.shape, ", got ", shape);
  array.memory->use_in_current_stream();
  upload(array, values);
}

py::array to_host(const DeviceArray& array) {
  raise_faults();
  array.memory->use_in_current_stream();
  const Storage& storage = storage_of(array.dtype);
  // NumPy has no bfloat16: it is the upper half of a float32.
  const bool widen = !storage.numpy;
  py::array result(py::dtype(widen ? "<u2" : storage.numpy), array.shape);
  void* to = result.mutable_data();
  {
    const ReleasedLock released;
    copy_to_host(to, array.data, static_cast<std::size_t>(array.bytes()));
  }
  if (!widen) return result;
  return result.attr("astype")("<u4").attr("__lshift__")(16).attr("view")("<f4");
}

double item(const DeviceArray& array) {
  check(array.count() == 1, "DeviceArray: only an array of one element is a number, got shape ", array.shape);
  return to_host(array).attr("item")().cast<double>();
}

DeviceArray reshape(const DeviceArray& array, Shape shape) {
  std::int64_t known = 1, unknown = -1;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    check(shape[axis] >= -1, "reshape: shape must not be negative, got ", shape);
    if (shape[axis] != -1) {
      check(!__builtin_mul_overflow(known, shape[axis], &known), "reshape: shape is too large, got ", shape);
      continue;
    }
    check(unknown < 0, "reshape: only one extent of shape may be -1, got ", shape);
    unknown = static_cast<std::int64_t>(axis);
  }
  if (unknown >= 0) {
    check(known > 0 && array.count() % known == 0, "reshape: an array of shape ", array.shape, " cannot become ",
          shape);
    shape[unknown] = array.count() / known;
    known = array.count();
  }
  check(known == array.count(), "reshape: an array of shape ", array.shape, " cannot become ", shape);
  return {array.memory, array.data, array.dtype, shape};
}

DeviceArray astype(const DeviceArray& array, const std::string& name) {
  const DType reals[] = {DType::float32, DType::float16, DType::bfloat16};
  const auto find = [&](const std::string& wanted) {
    return std::find_if(std::begin(reals), std::end(reals), [&](DType each) { return wanted == name_of(each); });
  };
  const DType* dtype = find(name);
  check<TypeError>(dtype != std::end(reals), "astype: dtype must be float32, float16 or bfloat16, got ", name);
  check<TypeError>(find(name_of(array.dtype)) != std::end(reals),
                   "astype: the array must be float32, float16 or bfloat16, got ", name_of(array.dtype));
  array.memory->use_in_current_stream();
  DeviceArray result = make_device_array(*dtype, array.shape);
  convert(result.data, *dtype, array.data, array.dtype, array.count());
  return result;
}

// A range of the first axis, which is contiguous like the whole.
DeviceArray slice(const DeviceArray& array, const py::slice& range) {
  check<IndexError>(!array.shape.empty(), "DeviceArray: an array of no dimensions cannot be sliced");
  py::ssize_t start = 0, stop = 0, step = 0, length = 0;
  if (!range.compute(array.shape[0], &start, &stop, &step, &length)) throw py::error_already_set();
  check<IndexError>(step == 1, "DeviceArray: a slice must have step 1, got ", step,
                    "; call to_host() first, or slice in PyTorch or CuPy");
  DeviceArray result = array;
  const std::int64_t row = array.shape[0] ? array.bytes() / array.shape[0] : 0;
  result.data = static_cast<char*>(array.data) + start * row;
  result.shape[0] = length;
  return result;
}

std::string repr(const DeviceArray& array) {
  return message("DeviceArray(shape=", array.shape, ", dtype=", name_of(array.dtype),
                 ", device=", array.memory->device(), ")");
}

py::typing::Dict<py::str, py::object> cuda_array_interface(const DeviceArray& array) {
  const Storage& storage = storage_of(array.dtype);
  // hasattr() of the protocol must be False, so AttributeError.
  if (!storage.numpy) throw py::attribute_error("bfloat16 has no __cuda_array_interface__; use DLPack");
  py::typing::Dict<py::str, py::object> interface;
  interface["shape"] = to_tuple(array.shape);
  interface["typestr"] = storage.numpy;
  interface["data"] = py::make_tuple(array.count() ? reinterpret_cast<std::uintptr_t>(array.data) : 0, false);
  interface["strides"] = py::none();
  interface["stream"] = number_of(current_stream());
  interface["version"] = 3;
  return interface;
}

// What an exported tensor needs as long as someone holds it.
template <class Managed>
struct Export {
  Managed managed{};
  DeviceArray array;
  Shape strides;
};

template <class Managed>
Managed* make_export(const DeviceArray& array) {
  auto* exported = new Export<Managed>{{}, array, {}};
  exported->strides.assign(array.shape.size(), 1);
  for (std::size_t axis = array.shape.size(); axis-- > 1;) {
    exported->strides[axis - 1] = exported->strides[axis] * array.shape[axis];
  }
  dlpack::Tensor& tensor = exported->managed.tensor;
  tensor.data = array.data;
  tensor.device = {dlpack::device_cuda, array.memory->device()};
  tensor.ndim = static_cast<std::int32_t>(array.shape.size());
  tensor.dtype = storage_of(array.dtype).dlpack;
  tensor.shape = exported->array.shape.data();
  tensor.strides = exported->strides.data();
  exported->managed.context = exported;
  exported->managed.deleter = [](Managed* managed) { delete static_cast<Export<Managed>*>(managed->context); };
  return &exported->managed;
}

template <class Managed>
py::capsule in_capsule(Managed* managed, const char* name) {
  // A consumer renames the capsule and calls the deleter itself.
  PyObject* capsule = PyCapsule_New(managed, name, [](PyObject* object) {
    const char* still = PyCapsule_GetName(object);
    if (std::string(still).rfind("used_", 0) == 0) return;
    auto* left = static_cast<Managed*>(PyCapsule_GetPointer(object, still));
    left->deleter(left);
  });
  if (!capsule) throw py::error_already_set();
  return py::reinterpret_steal<py::capsule>(capsule);
}

// The stream numbers of the DLPack protocol for CUDA: 1 legacy default, 2 per-thread default, −1 do not order, 0 not
// allowed because it could mean either.
py::capsule to_dlpack(const DeviceArray& array, py::object stream, py::object max_version, py::object dl_device,
                      py::object copy) {
  check(copy.is_none() || !copy.cast<bool>(), "__dlpack__: copy=True is not supported; call copy()");
  if (!dl_device.is_none()) {
    const auto [type, id] = dl_device.cast<std::pair<int, int>>();
    if (type != dlpack::device_cuda || id != array.memory->device()) {
      throw py::buffer_error("__dlpack__: the array stays on its GPU; call to_host() for the host");
    }
  }
  array.memory->use_in_current_stream();
  const std::int64_t number = stream.is_none() ? 1 : stream.cast<std::int64_t>();
  check(number != 0 && number >= -1, "__dlpack__: stream must be None, -1, 1, 2 or a CUDA stream, got ", number);
  if (number != -1 && !is_capturing()) {  // what is captured is waited for after its replay
    wait_for(stream_of_number(number), current_stream());
  }
  if (!max_version.is_none() && max_version.cast<py::sequence>()[0].cast<int>() >= 1) {
    return in_capsule(export_array(array), "dltensor_versioned");
  }
  return in_capsule(make_export<dlpack::Managed>(array), "dltensor");
}

}  // namespace

DeviceArray make_device_array(DType dtype, const Shape& shape) {
  DeviceArray array{nullptr, nullptr, dtype, shape};
  array.memory = std::make_shared<DeviceMemory>(static_cast<std::size_t>(array.bytes()));
  array.data = array.memory->data();
  return array;
}

dlpack::ManagedVersioned* export_array(const DeviceArray& array) {
  auto* managed = make_export<dlpack::ManagedVersioned>(array);
  managed->major = 1;
  return managed;
}

void bind_device_array(py::module_& m) {
  using py::arg;
  py::class_<DeviceArray>(m, "DeviceArray",
                          "An array on the GPU, C-contiguous; PyTorch, CuPy, JAX and Numba take it without a copy.",
                          py::module_local())
      .def_property_readonly("shape", [](const DeviceArray& a) { return to_tuple(a.shape); })
      .def_property_readonly("ndim", [](const DeviceArray& a) { return a.shape.size(); })
      .def_property_readonly("size", &DeviceArray::count)
      .def_property_readonly("nbytes", &DeviceArray::bytes)
      .def_property_readonly("dtype", [](const DeviceArray& a) { return name_of(a.dtype); })
      .def_property_readonly("device", [](const DeviceArray& a) { return a.memory->device(); })
      .def("to_host", to_host, "A NumPy copy (bfloat16 widened to float32), after waiting for the stream.")
      .def("item", item, "The only element, as a float.")
      .def("__float__", item)
      .def("set", set, arg("array"), "Overwrites the elements with those of a NumPy array of the same shape and dtype.")
      .def("reshape", reshape, arg("shape"), "The same memory, seen with another shape; one extent may be -1.")
      .def("astype", astype, arg("dtype"),
           "A copy as float32, float16 or bfloat16, each number rounded to the nearest, ties to even.")
      .def("copy",
           [](const DeviceArray& a) {
             a.memory->use_in_current_stream();
             DeviceArray result = make_device_array(a.dtype, a.shape);
             copy_on_device(result.data, a.data, static_cast<std::size_t>(a.bytes()));
             return result;
           })
      .def(
          "zeros_like",
          [](const DeviceArray& a) {
            DeviceArray result = make_device_array(a.dtype, a.shape);
            fill_zero(result.data, static_cast<std::size_t>(a.bytes()));
            return result;
          },
          "A new array of the same shape and dtype, all zeros.")
      .def("__add__", [m](const py::object& a, const py::object& b) { return m.attr("add")(a, b); })
      .def("__len__",
           [](const DeviceArray& a) {
             check<TypeError>(!a.shape.empty(), "DeviceArray: an array of no dimensions has no length");
             return a.shape[0];
           })
      .def("__getitem__", slice, arg("rows"), "A range of the first axis, sharing memory.")
      .def(
          "__array__",
          [](const DeviceArray&, const py::object&, const py::object&) -> py::object {
            throw TypeError("DeviceArray: it lives on a GPU; to_host() copies it to NumPy");
          },
          arg("dtype") = py::none(), arg("copy") = py::none())
      .def("__repr__", repr)
      .def_property_readonly("__cuda_array_interface__", cuda_array_interface)
      .def("__dlpack__", to_dlpack, py::kw_only(), arg("stream") = py::none(), arg("max_version") = py::none(),
           arg("dl_device") = py::none(), arg("copy") = py::none())
      .def("__dlpack_device__",
           [](const DeviceArray& a) { return std::make_pair(dlpack::device_cuda, a.memory->device()); });
  m.def("to_device", to_device, arg("array"), arg("device"));
}

}  // namespace dip::cuda
