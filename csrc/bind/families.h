// The list of operator families: each registers its functions with the module. One source, compiled once for each
// backend with DIP_BACKEND set to its namespace.
#pragma once

#include <pybind11/pybind11.h>

namespace dip {

namespace DIP_BACKEND {}
namespace backend = DIP_BACKEND;

// What the backend lets be set: threads and instruction sets of the CPU, devices and streams of the GPU.
void bind_runtime(pybind11::module_& m);

#define DIP_FAMILY(family) void bind_##family(pybind11::module_& m);
#include "bind/families.def"
#undef DIP_FAMILY

}  // namespace dip
