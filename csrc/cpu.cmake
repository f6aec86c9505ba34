# The CPU backend, _cpu: launchers compiled once, and vector kernels once for each instruction set, each into its own
# namespace.
dip_add_module(_cpu cpu bind/arguments_numpy.cpp bind/runtime_cpu.cpp $<TARGET_OBJECTS:dip_cpu>)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(isas avx512 avx2 baseline)
  set(flags_baseline -march=x86-64-v2)
  set(flags_avx2 -march=x86-64-v3)
  # GCC 12's own AVX-512 headers read the undefined register they mean to, and are warned about.
  set(flags_avx512 -march=x86-64-v4 -mprefer-vector-width=512 -Wno-maybe-uninitialized -Wno-uninitialized)
else()
  set(isas baseline)
  set(flags_baseline "")
endif()
set(kernel_objects "")
foreach(isa IN LISTS isas)
  add_library(kernels_${isa} OBJECT cpu/gemm/kernels.cpp ${kernel_sources})
  target_compile_definitions(kernels_${isa} PRIVATE DIP_ISA=${isa} DIP_BACKEND=cpu)
  target_compile_options(kernels_${isa} PRIVATE ${flags_${isa}})
  target_link_libraries(kernels_${isa} PRIVATE dip_options)
  # The intrinsics take longer to read than most kernels to compile.
  target_precompile_headers(kernels_${isa} PRIVATE cpu/simd_math.h)
  list(APPEND kernel_objects $<TARGET_OBJECTS:kernels_${isa}>)
endforeach()

# The instructions for bfloat16 numbers, where the compiler knows them.
include(CheckCXXCompilerFlag)
set(isa_definitions "")
function(dip_add_bf16_tiles isa source definition flags)
  add_library(kernels_${isa} OBJECT ${source})
  target_compile_definitions(kernels_${isa} PRIVATE DIP_ISA=${isa} ${definition})
  target_compile_options(kernels_${isa} PRIVATE ${flags})
  target_link_libraries(kernels_${isa} PRIVATE dip_options)
  set(kernel_objects ${kernel_objects} $<TARGET_OBJECTS:kernels_${isa}> PARENT_SCOPE)
  set(isa_definitions ${isa_definitions} ${definition} PARENT_SCOPE)
endfunction()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  check_cxx_compiler_flag(-mavx512bf16 DIP_COMPILES_AVX512_BF16)
  check_cxx_compiler_flag("-mamx-tile -mamx-bf16" DIP_COMPILES_AMX)
endif()
if(DIP_COMPILES_AVX512_BF16)
  dip_add_bf16_tiles(avx512_bf16 "cpu/gemm/bf16_dots.cpp;cpu/gemm/bf16_kernels.cpp" DIP_AVX512_BF16
                     "${flags_avx512};-mavx512bf16")
  if(DIP_COMPILES_AMX AND CMAKE_SYSTEM_NAME STREQUAL Linux)
    dip_add_bf16_tiles(amx cpu/gemm/bf16_amx.cpp DIP_AMX "${flags_avx512};-mamx-tile;-mamx-bf16")
  endif()
  if(DIPKERNELS_SANITIZE)
    # Sanitizers would make the emulation slow. What it reads and writes they see in their memcpy.
    set_source_files_properties(cpu/gemm/bf16_amx.cpp PROPERTIES
                                COMPILE_OPTIONS "-fno-sanitize=all;-fno-builtin-memcpy;-O2")
  endif()
  if(DIPKERNELS_EMULATION)
    dip_add_bf16_tiles(amx_emulated cpu/gemm/bf16_amx.cpp DIP_AMX_EMULATED "${flags_avx2}")
  endif()
endif()

set(cpu_own_sources cpu/costs.cpp cpu/finite.cpp cpu/indices.cpp cpu/isa.cpp cpu/memory.cpp cpu/parallel.cpp cpu/sum.cpp
    cpu/gemm/bf16.cpp)
if(DIPKERNELS_EMULATION)
  list(APPEND cpu_own_sources cpu/failing_allocations.cpp)
  list(APPEND isa_definitions DIP_FAILING_ALLOCATIONS)
endif()
add_library(dip_cpu OBJECT ${cpu_sources} ${cpu_own_sources})
# Three files of the families' launchers: the headers take longer to read than most of them to compile.
set_target_properties(dip_cpu PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 13)
set_source_files_properties(${cpu_own_sources} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
target_compile_definitions(dip_cpu PRIVATE DIP_BACKEND=cpu ${isa_definitions})
target_link_libraries(dip_cpu PRIVATE dip_options)
target_precompile_headers(dip_cpu PRIVATE <algorithm> <functional> <string> <vector>)

target_sources(_cpu PRIVATE ${kernel_objects})
target_compile_definitions(_cpu PRIVATE ${isa_definitions})
