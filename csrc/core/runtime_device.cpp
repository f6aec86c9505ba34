// Devices, streams, graphs and arrays of the GPU, for Python.
#include "core/runtime_device.h"

#include <pybind11/stl.h>

#include "core/device_array.h"

namespace dip::cuda {

void bind_device_runtime(pybind11::module_& m) {
  namespace py = pybind11;
  bind_device_array(m);
  m.def("device_count", device_count);
  m.def("check_device", check_device, py::arg("device"));
  m.def("current_device", current_device);
  m.def("set_device", set_device, py::arg("device"));
  m.def("device_name", device_name, py::arg("device"));
  m.def("current_stream", [] { return reinterpret_cast<std::uintptr_t>(current_stream()); });
  m.def(
      "set_current_stream", [](std::uintptr_t stream) { set_current_stream(reinterpret_cast<Stream>(stream)); },
      py::arg("stream"));
  m.def("synchronize", synchronize, py::call_guard<py::gil_scoped_release>());
  py::class_<Graph>(m, "Graph", py::module_local())
      .def(py::init<>())
      .def("begin_capture", &Graph::begin_capture)
      .def("end_capture", &Graph::end_capture)
      .def("cancel_capture", &Graph::cancel_capture)
      .def("replay", &Graph::replay);
}

}  // namespace dip::cuda
