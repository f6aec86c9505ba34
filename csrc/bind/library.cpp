#include "bind/library.h"

#include <string>
#include <unordered_map>

#include "bind/storage.h"
#include "core/check.h"

namespace dip::cuda {
namespace {

namespace py = pybind11;

// The newest version of a chain that this knows.
const dlpack::ExchangeApi* exchange_of(py::handle type) {
  py::object capsule = py::getattr(type, "__dlpack_c_exchange_api__", py::none());
  if (!PyCapsule_IsValid(capsule.ptr(), "dlpack_exchange_api")) return nullptr;
  auto* api = static_cast<const dlpack::ExchangeApi*>(PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
  while (api && api->major > 1) api = api->previous;
  return api && api->tensor_from_object ? api : nullptr;
}

py::object loaded(const char* module) {
  return py::module_::import("sys").attr("modules").attr("get")(module, py::none());
}

Library examine(py::handle type) {
  Library library;
  library.is_own = type.is(py::type::of<DeviceArray>());
  if (library.is_own) return library;
  library.exchange = exchange_of(type);
  library.records_gradients = py::hasattr(type, "requires_grad");
  if (library.exchange) return library;
  const std::string module = py::str(py::getattr(type, "__module__", py::str("")));
  const std::string name = module.substr(0, module.find('.'));
  if (name == "torch") {
    library.from_dlpack = loaded("torch").attr("from_dlpack");
    library.current_stream = py::cpp_function([](py::object array) {
      return loaded("torch").attr("cuda").attr("current_stream")(array.attr("device")).attr("cuda_stream");
    });
  } else if (name == "cupy") {
    library.from_dlpack = loaded("cupy").attr("from_dlpack");
    library.current_stream = py::cpp_function(
        [](const py::object&) { return loaded("cupy").attr("cuda").attr("get_current_stream")().attr("ptr"); });
  } else if (name == "numba") {
    library.from_dlpack = py::module_::import("numba.cuda").attr("as_cuda_array");
  } else if (name == "jax" || name == "jaxlib") {
    library.from_dlpack = py::module_::import("jax.dlpack").attr("from_dlpack");
  }
  return library;
}

struct Error {
  std::string kind, text;
};

void keep_error(void* context, const char* kind, const char* text) {
  *static_cast<Error*>(context) = {kind, text};
}

}  // namespace

const Library& library_of(py::handle array) {
  // Never freed: it refers to types, which may go before it. Python's lock guards it.
  static auto& known = *new std::unordered_map<PyTypeObject*, Library>;
  PyTypeObject* type = Py_TYPE(array.ptr());
  const auto found = known.find(type);
  if (found != known.end()) return found->second;
  Library library = examine(reinterpret_cast<PyObject*>(type));
  Py_INCREF(type);  // so that no other type gets its address
  return known.emplace(type, std::move(library)).first->second;
}

bool is_cuda(std::int32_t type) {
  return type == dlpack::device_cuda || type == dlpack::device_cuda_managed;
}

dlpack::Device dlpack_device_of(py::handle object) {
  if (!py::hasattr(object, "__dlpack__") || !py::hasattr(object, "__dlpack_device__")) return {0, 0};
  const py::tuple device = object.attr("__dlpack_device__")();
  return {device[0].cast<std::int32_t>(), device[1].cast<std::int32_t>()};
}

bool is_on_gpu(py::handle object) {
  const Library& library = library_of(object);
  if (library.is_own) return true;
  if (library.exchange) {
    dlpack::Tensor tensor;
    if (library.exchange->tensor_from_object(object.ptr(), &tensor) == 0) return is_cuda(tensor.device.type);
    PyErr_Clear();  // what it cannot describe in C it may describe otherwise
  }
  return is_cuda(dlpack_device_of(object).type) || py::hasattr(object, "__cuda_array_interface__");
}

py::object allocate(const Library& library, DType dtype, const Shape& shape, int device, void** data) {
  dlpack::Tensor like{};
  like.device = {dlpack::device_cuda, device};
  like.ndim = static_cast<std::int32_t>(shape.size());
  like.dtype = storage_of(dtype).dlpack;
  like.shape = const_cast<std::int64_t*>(shape.data());
  dlpack::ManagedVersioned* managed = nullptr;
  Error error;
  if (library.exchange->allocate(&like, &managed, &error, keep_error) != 0) {
    if (PyErr_Occurred()) throw py::error_already_set();
    fail<std::runtime_error>("memory on the GPU: ", error.kind, ": ", error.text);
  }
  *data = static_cast<char*>(managed->tensor.data) + managed->tensor.byte_offset;
  void* object = nullptr;
  if (library.exchange->managed_to_object(managed, &object) != 0) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(static_cast<PyObject*>(object));
}

py::object to_library(const Library& library, const DeviceArray& array) {
  if (library.exchange) {
    void* object = nullptr;
    if (library.exchange->managed_to_object(export_array(array), &object) != 0) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(static_cast<PyObject*>(object));
  }
  py::object own = py::cast(array);
  return library.from_dlpack ? library.from_dlpack(own) : own;
}

}  // namespace dip::cuda
