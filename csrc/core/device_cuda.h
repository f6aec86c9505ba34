// The device layer under nvcc or clang: launches on the current stream, and stream-ordered memory.
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

// Shared arrays are declared through a macro, because the emulation gives them memory it can watch.
#define DIP_SHARED_ARRAY(type, name, count) __shared__ type name[count]

namespace dip::cuda {

inline void check_cuda(cudaError_t error, const char* what) {
  if (error != cudaSuccess) {
    throw std::runtime_error(std::string(what) + ": CUDA says: " + cudaGetErrorString(error));
  }
}

// The stream that the operators of this thread use.
inline cudaStream_t& current_stream() {
  static thread_local cudaStream_t stream = nullptr;
  return stream;
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), unsigned blocks, unsigned threads, Arguments... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(blocks);
  config.blockDim = dim3(threads);
  config.stream = current_stream();
  check_cuda(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), "kernel launch");
}

// Memory for one operator, given back in stream order.
template <class T>
class DeviceScratch {
 public:
  explicit DeviceScratch(std::size_t count) {
    check_cuda(cudaMallocAsync(reinterpret_cast<void**>(&data_), count * sizeof(T), current_stream()),
               "scratch memory");
  }
  DeviceScratch(const DeviceScratch&) = delete;
  DeviceScratch& operator=(const DeviceScratch&) = delete;
  ~DeviceScratch() { cudaFreeAsync(data_, current_stream()); }

  T* data() const { return data_; }

 private:
  T* data_ = nullptr;
};

template <class T>
void copy_to_device(T* to, const T* from, std::size_t count) {
  check_cuda(cudaMemcpyAsync(to, from, count * sizeof(T), cudaMemcpyHostToDevice, current_stream()), "copy to the GPU");
}

// Waits for the stream: only for what the host must know.
template <class T>
void copy_to_host(T* to, const T* from, std::size_t count) {
  check_cuda(cudaMemcpyAsync(to, from, count * sizeof(T), cudaMemcpyDeviceToHost, current_stream()),
             "copy from the GPU");
  check_cuda(cudaStreamSynchronize(current_stream()), "copy from the GPU");
}

}  // namespace dip::cuda
