# The CUDA backend: _cuda where there is a CUDA compiler, and _cuda_emulated, by request, whose kernels run on the host.
list(APPEND cuda_kernel_sources cuda/copy_kernels.cu cuda/indices.cu cuda/sum.cu cuda/training.cu cuda/gemm/block.cu)
# What takes longest is compiled first, so that no core waits for it at the end.
list(PREPEND cuda_kernel_sources cuda/gemm/packed/backward_data.cu cuda/gemm/packed/forward.cu
     cuda/gemm/packed/backward_weight.cu cuda/gemm/packed/packing.cu)
list(TRANSFORM cuda_kernel_sources PREPEND "${dip_sources}/" REGEX "^cuda/")
set(device_bind_sources arguments_device.cpp device_array.cpp device_view.cpp library.cpp runtime_device.cpp training.cpp)
list(TRANSFORM device_bind_sources PREPEND "${dip_sources}/bind/")

if(CMAKE_CUDA_COMPILER OR DIPKERNELS_EMULATION)
  add_library(dip_cuda_host OBJECT cuda/faults.cpp cuda/stream_of_thread.cpp cuda/gemm/costs.cpp cuda/gemm/plan.cpp)
  target_link_libraries(dip_cuda_host PRIVATE dip_options)
  set_target_properties(dip_cuda_host PROPERTIES UNITY_BUILD ON)
endif()

if(CMAKE_CUDA_COMPILER)
  # Only packed products have instructions of Hopper's own. All else has the same machine code there when that is made
  # from the PTX for Ampere, and the first half of nvcc's work is done once.
  set(packed_sources ${cuda_kernel_sources})
  list(FILTER packed_sources INCLUDE REGEX "/gemm/packed/(forward|backward)")
  add_library(cuda_packed_kernels OBJECT ${packed_sources})
  # Four files of all else, because reading the headers takes nvcc two seconds a file. What takes long is dealt out
  # first, in an order by which the four take alike.
  set(long_sources ops/softmax_cross_entropy/device ops/conv/cuda/staged ops/conv/cuda/choice ops/conv/cuda/few_inputs
                   ops/linear/small_product ops/warp/device ops/conv/cuda/quads_weight ops/linear/device
                   cuda/gemm/packed/packing ops/conv/cuda/few_channels ops/losses/device ops/conv/cuda/quads)
  list(TRANSFORM long_sources PREPEND "${dip_sources}/")
  list(TRANSFORM long_sources APPEND ".cu")
  set(dealt_sources ${long_sources} ${cuda_kernel_sources})
  list(REMOVE_DUPLICATES dealt_sources)
  list(REMOVE_ITEM dealt_sources ${packed_sources})
  set(hands 4)
  set(hand 0)
  foreach(source IN LISTS dealt_sources)
    string(APPEND includes_${hand} "#include \"${source}\"\n")
    math(EXPR hand "(${hand} + 1) % ${hands}")
  endforeach()
  set(joined_sources "")
  math(EXPR last_hand "${hands} - 1")
  foreach(hand RANGE ${last_hand})
    set(joined "${CMAKE_CURRENT_BINARY_DIR}/joined_${hand}.cu")
    file(CONFIGURE OUTPUT "${joined}" CONTENT "${includes_${hand}}" @ONLY)
    list(APPEND joined_sources "${joined}")
  endforeach()
  add_library(cuda_kernels OBJECT ${joined_sources})
  if(CMAKE_CUDA_COMPILER_ID STREQUAL NVIDIA AND CMAKE_CUDA_ARCHITECTURES STREQUAL "80-virtual;90a-real")
    set_target_properties(cuda_kernels PROPERTIES CUDA_ARCHITECTURES OFF)
    target_compile_options(cuda_kernels PRIVATE "--generate-code=arch=compute_80,code=[compute_80,sm_90]")
  endif()
  foreach(target IN ITEMS cuda_packed_kernels cuda_kernels)
    target_compile_definitions(${target} PRIVATE DIP_BACKEND=cuda DIP_CUDA_ARCHITECTURES="${architectures}")
    target_include_directories(${target} PRIVATE "${dip_sources}")
    if(CMAKE_CUDA_COMPILER_ID STREQUAL NVIDIA AND DIPKERNELS_WARNINGS_AS_ERRORS)
      target_compile_options(${target} PRIVATE -Werror=all-warnings)
    endif()
    if(CMAKE_CUDA_COMPILER_ID STREQUAL Clang)
      # What is called keeps its sums in memory, not in registers; nvcc calls nothing by itself.
      target_compile_options(${target} PRIVATE -fgpu-inline-threshold=1000000 -Wno-c++20-designator)
    endif()
  endforeach()
  add_library(dip_cuda_runtime OBJECT cuda/graph.cpp cuda/runtime.cpp cuda/gemm/tensor_map.cpp)
  target_compile_definitions(dip_cuda_runtime PRIVATE DIP_CUDA_ARCHITECTURES="${architectures}")
  target_link_libraries(dip_cuda_runtime PRIVATE dip_options CUDA::cudart)
  dip_add_module(_cuda cuda ${device_bind_sources} bind/runtime_cuda.cpp $<TARGET_OBJECTS:dip_cuda_host>
                 $<TARGET_OBJECTS:dip_cuda_runtime> $<TARGET_OBJECTS:cuda_packed_kernels>
                 $<TARGET_OBJECTS:cuda_kernels>)
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
