#include "bind/device_view.h"

#include <pybind11/stl.h>

#include "bind/storage.h"
#include "core/check.h"

namespace dip::cuda {
namespace {

namespace py = pybind11;

std::string type_name(py::handle object) {
  return py::str(py::type::of(object).attr("__name__"));
}

Stream as_stream(py::handle number) {
  return reinterpret_cast<Stream>(number.cast<std::uintptr_t>());
}

void set_dtype(View& view, const dlpack::DataType& dtype) {
  for (const Storage& storage : storages) {
    const dlpack::DataType& each = storage.dlpack;
    if (each.code == dtype.code && each.bits == dtype.bits && each.lanes == dtype.lanes) view.dtype = storage.dtype;
  }
  if (view.dtype) return;
  const char* kinds[] = {"int", "uint", "float", "opaque", "bfloat", "complex", "bool"};
  view.dtype_name = dtype.code < std::size(kinds) ? kinds[dtype.code] : "unknown";
  if (dtype.lanes != 1) {
    view.dtype_name += " with " + std::to_string(dtype.lanes) + " lanes";
  } else if (view.dtype_name != "bool") {
    view.dtype_name += std::to_string(dtype.bits);
  }
}

void describe(View& view, const dlpack::Tensor& tensor) {
  view.data = static_cast<char*>(tensor.data) + tensor.byte_offset;
  set_dtype(view, tensor.dtype);
  view.shape.assign(tensor.shape, tensor.shape + tensor.ndim);
  if (tensor.strides) view.strides.assign(tensor.strides, tensor.strides + tensor.ndim);
  view.device = tensor.device.id;
}

bool requires_gradient(py::handle array) {
  static const py::handle name = PyUnicode_InternFromString("requires_grad");  // never freed: asked for in every call
  return py::object(array.attr(name)).is(py::handle(Py_True));
}

// False where the array is not on a GPU.
bool take_exchange(View& view, py::handle object, bool asks_read_only) {
  const dlpack::ExchangeApi& api = *view.library->exchange;
  view.owner = py::reinterpret_borrow<py::object>(object);
  dlpack::Tensor tensor;
  dlpack::ManagedVersioned* managed = nullptr;
  if (asks_read_only) {
    if (api.managed_from_object(object.ptr(), &managed) != 0) throw py::error_already_set();
    tensor = managed->tensor;
    view.read_only = (managed->flags & dlpack::flag_read_only) != 0;
  } else {
    if (api.tensor_from_object(object.ptr(), &tensor) != 0) throw py::error_already_set();
  }
  const bool on_gpu = is_cuda(tensor.device.type);
  if (on_gpu) describe(view, tensor);
  if (managed && managed->deleter) managed->deleter(managed);
  // The library's own export refuses it too: what is computed here would be missing in the gradients.
  check<TypeError>(!on_gpu || !view.library->records_gradients || !requires_gradient(object),
                   "it requires a gradient, which would be lost; pass array.detach()");
  return on_gpu;
}

template <class Managed>
void take_capsule(View& view, py::object capsule, const char* name, const char* used_name) {
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule.ptr(), name));
  if (!managed) throw py::error_already_set();
  describe(view, managed->tensor);
  // The consumer marks the capsule as used and calls the deleter when it is done.
  PyCapsule_SetName(capsule.ptr(), used_name);
  view.owner = py::capsule(managed, [](void* pointer) {
    auto* each = static_cast<Managed*>(pointer);
    if (each->deleter) each->deleter(each);
  });
}

void take_dlpack(View& view, py::handle object) {
  // A library whose stream is known has been waited for; any other is told in which stream its array will be used.
  const std::int64_t number = view.library->current_stream ? -1 : number_of(current_stream());
  py::object capsule;
  try {
    capsule = object.attr("__dlpack__")(py::arg("stream") = number, py::arg("max_version") = py::make_tuple(1, 0));
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) throw;  // a producer from before DLPack 1.0 does not know max_version
    capsule = object.attr("__dlpack__")(py::arg("stream") = number);
  }
  if (!PyCapsule_IsValid(capsule.ptr(), "dltensor_versioned")) {
    return take_capsule<dlpack::Managed>(view, capsule, "dltensor", "used_dltensor");
  }
  const auto* managed =
      static_cast<dlpack::ManagedVersioned*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor_versioned"));
  view.read_only = (managed->flags & dlpack::flag_read_only) != 0;
  take_capsule<dlpack::ManagedVersioned>(view, capsule, "dltensor_versioned", "used_dltensor_versioned");
}

void take_cuda_array_interface(View& view, py::handle object) {
  const py::dict interface = object.attr("__cuda_array_interface__");
  view.owner = py::reinterpret_borrow<py::object>(object);
  const py::tuple data = interface["data"];
  view.data = reinterpret_cast<void*>(data[0].cast<std::uintptr_t>());
  view.read_only = data[1].cast<bool>();
  const py::object dtype = py::module_::import("numpy").attr("dtype")(interface["typestr"]);
  const std::string typestr = py::str(dtype.attr("str"));
  for (const Storage& storage : storages) {
    if (storage.numpy && typestr == storage.numpy) view.dtype = storage.dtype;
  }
  if (!view.dtype) view.dtype_name = py::str(dtype);
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
  view.device = empty ? current_device() : device_of(view.data);
  if (interface.contains("stream") && !interface["stream"].is_none()) {
    const auto number = interface["stream"].cast<std::int64_t>();
    check(number != 0, "its stream must not be 0, which could mean two streams");
    wait_for(current_stream(), stream_of_number(number));
  }
}

}  // namespace

void CallStream::join(const Library& library, py::handle array, int device) {
  if (joined_ == &library || (!library.exchange && !library.current_stream)) return;
  if (is_capturing()) return;  // what is captured waits for nothing outside
  Stream theirs = nullptr;
  if (library.exchange) {
    void* stream = nullptr;
    if (library.exchange->current_stream(dlpack::device_cuda, device, &stream) != 0) throw py::error_already_set();
    theirs = static_cast<Stream>(stream);
  } else {
    theirs = as_stream(library.current_stream(array));
  }
  if (joined_) return wait_for(current_stream(), theirs);
  joined_ = &library;
  theirs_ = theirs;
  if (stream_is_chosen()) return wait_for(current_stream(), theirs);
  set_current_stream(theirs);
  for (DeviceMemory* memory : used_) memory->use_in_current_stream();
}

void CallStream::use(DeviceMemory& memory) {
  memory.use_in_current_stream();
  if (!joined_) used_.push_back(&memory);
}

CallStream::~CallStream() {
  if (!joined_ || theirs_ == current_stream() || is_capturing()) return;
  try {
    wait_for(theirs_, current_stream());
  } catch (const std::exception&) {  // it comes back from the next call
  }
}

View view_of(py::handle object, const char* op, const char* name, bool asks_read_only, CallStream& stream) {
  View view;
  view.library = &library_of(object);
  if (view.library->is_own) {
    const auto& array = object.cast<const DeviceArray&>();
    stream.use(*array.memory);
    view.owner = py::reinterpret_borrow<py::object>(object);
    view.data = array.data;
    view.dtype = array.dtype;
    view.shape = array.shape;
    view.device = array.memory->device();
    return view;
  }
  const auto cannot_be_read = [&](const std::exception& error) {
    return message(op, ": ", name, ", got ", type_name(object), ", cannot be read: ", error.what());
  };
  try {
    bool on_gpu = false;
    if (view.library->exchange) {
      on_gpu = take_exchange(view, object, asks_read_only);
      if (on_gpu) stream.join(*view.library, object, view.device);
    } else if (const dlpack::Device device = dlpack_device_of(object); is_cuda(device.type)) {
      on_gpu = true;
      stream.join(*view.library, object, device.id);
      take_dlpack(view, object);
    } else if (py::hasattr(object, "__cuda_array_interface__")) {
      on_gpu = true;
      stream.join(*view.library, object, current_device());
      take_cuda_array_interface(view, object);
    }
    if (on_gpu) return view;
  } catch (const ValueError& error) {
    throw ValueError(cannot_be_read(error));
  } catch (const py::error_already_set& error) {
    throw TypeError(cannot_be_read(error));
  } catch (const py::cast_error& error) {
    throw TypeError(cannot_be_read(error));
  } catch (const TypeError& error) {
    throw TypeError(cannot_be_read(error));
  }
  fail<TypeError>(op, ": ", name, " must be an array on the GPU like the others, got ", type_name(object),
                  "; dipkernels.cuda.to_device copies a NumPy array there");
}

}  // namespace dip::cuda
