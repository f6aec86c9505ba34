// Errors of the CUDA runtime become exceptions that name what was tried, what CUDA says, and what to do.
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace dip::cuda {

inline void check_cuda(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // an error that is not sticky ends here: the device stays usable
  std::string text = std::string(what) + ": CUDA says: " + cudaGetErrorString(error);
  if (error == cudaErrorNoKernelImageForDevice || error == cudaErrorUnsupportedPtxVersion) {
    text += "; this build has code for the architectures " DIP_CUDA_ARCHITECTURES
            "; build it for this GPU with pip install . -C cmake.define.CMAKE_CUDA_ARCHITECTURES=native";
  }
  if (error == cudaErrorNoDevice || error == cudaErrorInsufficientDriver) {
    text += "; there is no usable GPU here, or its driver is missing or too old";
  }
  throw std::runtime_error(text);
}

}  // namespace dip::cuda
