#include "bind/foreign_tensor.h"

#include <memory>

#include "bind/device_array.h"
#include "bind/storage.h"
#include "core/check.h"

namespace dip::emulation {
namespace {

namespace py = pybind11;
using cuda::DeviceArray;

// The library's current stream, and how often it was asked for it and for memory.
cuda::Stream current = nullptr;
int times_asked = 0, times_allocated = 0;
bool out_of_memory = false;

struct ForeignTensor {
  std::shared_ptr<dlpack::ManagedVersioned> managed;
  bool requires_grad = false;

  explicit ForeignTensor(dlpack::ManagedVersioned* tensor)
      : managed(tensor, [](dlpack::ManagedVersioned* each) { each->deleter(each); }) {}
};

// C functions must not throw.
template <class Run>
int in_c(const Run& run) {
  try {
    run();
    return 0;
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return -1;
}

const ForeignTensor& tensor_of(void* object) {
  return py::handle(static_cast<PyObject*>(object)).cast<const ForeignTensor&>();
}

int allocate(dlpack::Tensor* like, dlpack::ManagedVersioned** out, void* context,
             void (*set_error)(void* context, const char* kind, const char* message)) {
  ++times_allocated;
  if (out_of_memory) {
    set_error(context, "MemoryError", "there is none left");
    return -1;
  }
  return in_c([&] {
    const Shape shape(like->shape, like->shape + like->ndim);
    for (const cuda::Storage& storage : cuda::storages) {
      if (storage.dlpack.code == like->dtype.code && storage.dlpack.bits == like->dtype.bits) {
        *out = cuda::export_array(cuda::make_device_array(storage.dtype, shape));
      }
    }
  });
}

int managed_from_object(void* object, dlpack::ManagedVersioned** out) {
  return in_c([&] {
    // Another owner of the same memory.
    using Owner = std::shared_ptr<dlpack::ManagedVersioned>;
    auto managed = std::make_unique<dlpack::ManagedVersioned>(*tensor_of(object).managed);
    managed->context = new Owner(tensor_of(object).managed);
    managed->deleter = [](dlpack::ManagedVersioned* each) {
      delete static_cast<Owner*>(each->context);
      delete each;
    };
    *out = managed.release();
  });
}

int managed_to_object(dlpack::ManagedVersioned* tensor, void** object) {
  return in_c([&] { *object = py::cast(ForeignTensor(tensor)).release().ptr(); });
}

int tensor_from_object(void* object, dlpack::Tensor* out) {
  return in_c([&] { *out = tensor_of(object).managed->tensor; });
}

int current_stream(std::int32_t, std::int32_t, void** stream) {
  ++times_asked;
  *stream = current;
  return 0;
}

}  // namespace

void bind_foreign_tensor(py::module_& m) {
  static dlpack::ExchangeApi api{
      1, 1, nullptr, allocate, managed_from_object, managed_to_object, tensor_from_object, current_stream};
  static dlpack::ExchangeApi newer{2, 0, &api, nullptr, nullptr, nullptr, nullptr, nullptr};
  py::class_<ForeignTensor> type(m, "ForeignTensor", py::module_local());
  type.def(py::init([](const DeviceArray& array) { return ForeignTensor(cuda::export_array(array)); }))
      .def_readwrite("requires_grad", &ForeignTensor::requires_grad)
      .def("set_read_only", [](ForeignTensor& t) { t.managed->flags |= dlpack::flag_read_only; })
      .def("move_to_host", [](ForeignTensor& t) { t.managed->tensor.device.type = 1; })
      .def_property_readonly("shape",
                             [](const ForeignTensor& t) {
                               const dlpack::Tensor& tensor = t.managed->tensor;
                               py::tuple shape(tensor.ndim);
                               for (int axis = 0; axis < tensor.ndim; ++axis) shape[axis] = tensor.shape[axis];
                               return shape;
                             })
      .def_property_readonly("ndim", [](const ForeignTensor& t) { return t.managed->tensor.ndim; })
      .def("to_host", [m](const py::object& t) {
        const dlpack::Tensor& tensor = tensor_of(t.ptr()).managed->tensor;
        DeviceArray array{nullptr, tensor.data, {}, Shape(tensor.shape, tensor.shape + tensor.ndim)};
        for (const cuda::Storage& storage : cuda::storages) {
          if (storage.dlpack.code == tensor.dtype.code && storage.dlpack.bits == tensor.dtype.bits) {
            array.dtype = storage.dtype;
          }
        }
        array.memory = std::make_shared<cuda::DeviceMemory>(0);
        return py::cast(array).attr("to_host")();
      });
  type.attr("__dlpack_c_exchange_api__") = py::capsule(&newer, "dlpack_exchange_api");
  m.def(
      "foreign_library",
      [](std::uintptr_t stream, bool is_out_of_memory) {
        current = reinterpret_cast<cuda::Stream>(stream);
        out_of_memory = is_out_of_memory;
        const py::tuple counted = py::make_tuple(times_asked, times_allocated);
        times_asked = times_allocated = 0;
        return counted;
      },
      py::arg("stream") = 0, py::arg("out_of_memory") = false);
}

}  // namespace dip::emulation
