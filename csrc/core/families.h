// The list of operator families: each registers its functions with the module. One source, compiled once for each
// backend with DIP_BACKEND set to its namespace.
#pragma once

#include <pybind11/pybind11.h>

namespace dip {

namespace DIP_BACKEND {}
namespace backend = DIP_BACKEND;

// What the backend lets be set: threads and instruction sets of the CPU, devices and streams of the GPU.
void bind_runtime(pybind11::module_& m);

void bind_activation(pybind11::module_& m);
void bind_conv(pybind11::module_& m);
void bind_conv_max_pool(pybind11::module_& m);
void bind_dropout(pybind11::module_& m);
void bind_linear(pybind11::module_& m);
void bind_losses(pybind11::module_& m);
void bind_max_pool(pybind11::module_& m);
void bind_optimizers(pybind11::module_& m);
void bind_pool(pybind11::module_& m);
void bind_softmax(pybind11::module_& m);
void bind_softmax_cross_entropy(pybind11::module_& m);
void bind_unpool(pybind11::module_& m);

}  // namespace dip
