// Threads and instruction sets, for Python.
#include <pybind11/stl.h>

#include "bind/arguments.h"
#include "bind/families.h"
#include "cpu/costs.h"
#include "cpu/failing_allocations.h"
#include "cpu/isa.h"
#include "cpu/memory.h"
#include "cpu/parallel.h"

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
  m.def("costs", cpu::listed_costs);
  m.def("cost_names", cpu::cost_names);
  m.def("set_costs", cpu::set_costs, py::arg("costs"));
  m.def("free_memory", cpu::free_all_memory);
  m.def("num_threads", cpu::num_threads);
  m.def("started_threads", cpu::started_threads);
  m.def(
      "set_num_threads",
      [](py::object count) { cpu::set_num_threads(Arguments("set_num_threads").integer(count, "count")); },
      py::arg("count"));
}

}  // namespace dip
