#pragma once

#include <pybind11/pybind11.h>

namespace dip::cuda {

// Devices, streams, graphs and arrays: what _cuda and its emulation let Python do beside the operators.
void bind_device_runtime(pybind11::module_& m);

// Steps of the training loop.
void bind_training(pybind11::module_& m);

}  // namespace dip::cuda
