// The tensor of a library that offers DLPack's exchange API, PyTorch's double.
#pragma once

#include <pybind11/pybind11.h>

namespace dip::emulation {

void bind_foreign_tensor(pybind11::module_& m);

}  // namespace dip::emulation
