// The device layer under nvcc or clang: launches on the current stream.
#pragma once

#include "core/device_error.h"

// Shared arrays are declared through a macro, because the emulation gives them memory it can watch.
#define DIP_SHARED_ARRAY(type, name, count) __shared__ type name[count]

namespace dip::cuda {

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), unsigned blocks, unsigned threads, Arguments... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(blocks);
  config.blockDim = dim3(threads);
  config.stream = current_stream();
  check_cuda(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), "kernel launch");
}

}  // namespace dip::cuda
