// Threads and instruction sets, for Python.
#include <pybind11/stl.h>

#include "core/arguments.h"
#include "core/failing_allocations.h"
#include "core/families.h"
#include "core/isa.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "ops/conv/ways.h"

namespace dip {

void bind_runtime(pybind11::module_& m) {
  namespace py = pybind11;
  m.def("isa", cpu::isa_name);
  m.def("available_isas", cpu::available_isas);
  m.def("set_isa", [](py::object name) { cpu::set_isa(Arguments("set_isa").text(name, "name")); }, py::arg("name"));
#if defined(DIP_FAILING_ALLOCATIONS)
  m.def("fail_allocation_after", cpu::fail_allocation_after, py::arg("count"));
  m.def("allocation_failed", cpu::allocation_failed);
#endif
  m.def("set_conv_way", cpu::set_conv_way, py::arg("name"));
  m.def("free_memory", cpu::free_all_memory);
  m.def("num_threads", cpu::num_threads);
  m.def("started_threads", cpu::started_threads);
  m.def(
      "set_num_threads",
      [](py::object count) { cpu::set_num_threads(Arguments("set_num_threads").integer(count, "count")); },
      py::arg("count"));
}

}  // namespace dip
