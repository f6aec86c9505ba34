// What _cuda has, and the seed of the fibers' order and the planted faults, for Python.
#include <pybind11/stl.h>

#include "bind/families.h"
#include "bind/foreign_tensor.h"
#include "bind/runtime_device.h"
#include "cuda/emulation/counter.h"
#include "cuda/emulation/device.h"
#include "cuda/emulation/planted_faults.h"

namespace dip {

void bind_runtime(pybind11::module_& m) {
  namespace py = pybind11;
  cuda::bind_device_runtime(m);
  emulation::bind_foreign_tensor(m);
  m.def("set_multiprocessors", emulation::set_multiprocessors, py::arg("count"));
  m.def("take_counts", [] {
    const emulation::Counts counts = emulation::take_counts();
    return py::make_tuple(counts.kernels, counts.places, counts.events);
  });
  m.def("set_launches", emulation::set_launches, py::arg("on"));
  m.def("set_seed", emulation::set_seed, py::arg("seed"));
  m.def("run_planted_fault", cuda::run_planted_fault, py::arg("name"));
}

}  // namespace dip
