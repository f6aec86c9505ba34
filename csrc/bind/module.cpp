// The Python module: a loop over the operator families, and what `dipkernels info` reports. One source, compiled once
// for each backend.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include "bind/arguments.h"
#include "bind/families.h"
#include "core/check.h"
#include "core/geometry.h"

namespace py = pybind11;

namespace {

// Each error class of core/check.h becomes the Python exception of the same name.
void translate(std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const dip::ValueError& e) {
    PyErr_SetString(PyExc_ValueError, e.what());
  } catch (const dip::TypeError& e) {
    PyErr_SetString(PyExc_TypeError, e.what());
  } catch (const dip::IndexError& e) {
    PyErr_SetString(PyExc_IndexError, e.what());
  }
}

py::typing::Dict<py::str, py::str> build_info() {
  py::typing::Dict<py::str, py::str> info;
  info["compiler"] = DIP_COMPILER;
  info["build_type"] = DIP_BUILD_TYPE;
  info["cuda"] = DIP_CUDA_STATE;
  return info;
}

py::object output_size(py::object op_, py::object axis_, py::object input, py::object kernel_size, py::object stride,
                       py::object padding, py::object dilation, py::object rounding) {
  const std::string op = dip::string_of(op_), name = dip::string_of(axis_);
  const dip::Arguments args(op.c_str());
  const auto [before, after] = args.sizes<2>(padding, "padding");
  const dip::Axis axis{args.integer(input, "input"),
                       args.integer(kernel_size, "kernel_size"),
                       args.integer(stride, "stride"),
                       before,
                       after,
                       args.integer(dilation, "dilation"),
                       0};
  return py::int_(dip::output_size(op.c_str(), name.c_str(), axis, args.text(rounding, "rounding")));
}

}  // namespace

PYBIND11_MODULE(DIP_MODULE, m) {
  m.doc() = "The compiled kernels of dipkernels for one backend. Call them through dipkernels.ops.";
  py::register_local_exception_translator(translate);

#define DIP_FAMILY(family) dip::bind_##family(m);
#include "bind/families.def"
#undef DIP_FAMILY

  m.def("output_size", output_size, py::arg("op"), py::arg("axis"), py::arg("input"), py::arg("kernel_size"),
        py::arg("stride"), py::arg("padding"), py::arg("dilation"), py::arg("rounding"));
  m.def("build_info", build_info);
  dip::bind_runtime(m);
}
