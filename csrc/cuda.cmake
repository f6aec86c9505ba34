# The CUDA backend: _cuda where there is a CUDA compiler, and _cuda_emulated, by request, whose kernels run on the host.
list(APPEND cuda_kernel_sources cuda/copy_kernels.cu cuda/indices.cu cuda/sum.cu cuda/training.cu cuda/gemm/block.cu
     cuda/gemm/packed/forward.cu cuda/gemm/packed/backward_data.cu cuda/gemm/packed/backward_weight.cu)
list(TRANSFORM cuda_kernel_sources PREPEND "${dip_sources}/" REGEX "^cuda/")
set(device_bind_sources arguments_device.cpp device_array.cpp device_view.cpp library.cpp runtime_device.cpp training.cpp)
list(TRANSFORM device_bind_sources PREPEND "${dip_sources}/bind/")

if(CMAKE_CUDA_COMPILER OR DIPKERNELS_EMULATION)
  add_library(dip_cuda_host OBJECT cuda/faults.cpp cuda/stream_of_thread.cpp cuda/gemm/costs.cpp cuda/gemm/plan.cpp)
  target_link_libraries(dip_cuda_host PRIVATE dip_options)
endif()

if(CMAKE_CUDA_COMPILER)
  add_library(cuda_kernels OBJECT ${cuda_kernel_sources})
  target_compile_definitions(cuda_kernels PRIVATE DIP_BACKEND=cuda DIP_CUDA_ARCHITECTURES="${architectures}")
  target_include_directories(cuda_kernels PRIVATE "${dip_sources}")
  if(CMAKE_CUDA_COMPILER_ID STREQUAL NVIDIA AND DIPKERNELS_WARNINGS_AS_ERRORS)
    target_compile_options(cuda_kernels PRIVATE -Werror=all-warnings)
  endif()
  if(CMAKE_CUDA_COMPILER_ID STREQUAL Clang)
    # What is called keeps its sums in memory, not in registers; nvcc calls nothing by itself.
    target_compile_options(cuda_kernels PRIVATE -fgpu-inline-threshold=1000000 -Wno-c++20-designator)
  endif()
  add_library(dip_cuda_runtime OBJECT cuda/graph.cpp cuda/runtime.cpp cuda/gemm/tensor_map.cpp)
  target_compile_definitions(dip_cuda_runtime PRIVATE DIP_CUDA_ARCHITECTURES="${architectures}")
  target_link_libraries(dip_cuda_runtime PRIVATE dip_options CUDA::cudart)
  dip_add_module(_cuda cuda ${device_bind_sources} bind/runtime_cuda.cpp $<TARGET_OBJECTS:dip_cuda_host>
                 $<TARGET_OBJECTS:dip_cuda_runtime> $<TARGET_OBJECTS:cuda_kernels>)
  target_link_libraries(_cuda PRIVATE CUDA::cudart)
  # The runtime comes from the wheel nvidia-cuda-runtime-cu12 or nvidia-cuda-runtime, or else from the toolkit that
  # built this.
  set(runtimes "$ORIGIN/../nvidia/cuda_runtime/lib" "$ORIGIN/../nvidia/cu13/lib")
  if(NOT DIPKERNELS_TOOLKIT)
    list(APPEND runtimes "${CUDAToolkit_LIBRARY_DIR}")
  endif()
  set_target_properties(_cuda PROPERTIES INSTALL_RPATH "${runtimes}")
endif()

if(DIPKERNELS_EMULATION)
  add_subdirectory(cuda/emulation)
endif()
