#include "cuda/gemm/tensor_map.h"

#include <cuda.h>
#include <cuda_runtime.h>

#include <cstring>

#include "core/check.h"
#include "cuda/error.h"

namespace dip::cuda {
namespace {

static_assert(sizeof(TensorMap) == sizeof(CUtensorMap) && alignof(TensorMap) >= alignof(CUtensorMap));

// A function of the driver, which the package is not linked to: it is to be imported where there is none.
template <class Function>
Function* driver_function(const char* name) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
#if CUDART_VERSION >= 12050
  check_cuda(cudaGetDriverEntryPointByVersion(name, &function, 12000, cudaEnableDefault, &found), name);
#else
  check_cuda(cudaGetDriverEntryPoint(name, &function, cudaEnableDefault, &found), name);
#endif
  check<std::runtime_error>(found == cudaDriverEntryPointSuccess, name, ": the driver does not have it");
  return reinterpret_cast<Function*>(function);
}

constexpr cuuint32_t line = 64;  // numbers

struct Shape {
  cuuint64_t sizes[4], strides[3];  // the latter in bytes

  explicit Shape(const MapSizes& from) {
    std::int64_t numbers = 1;
    for (int axis = 0; axis < 4; ++axis) {
      sizes[axis] = static_cast<cuuint64_t>(from[axis]);
      if (axis > 0) strides[axis - 1] = static_cast<cuuint64_t>(2 * numbers);
      numbers *= from[axis];
    }
  }
};

void check_map(CUresult result, const char* name) {
  check<std::runtime_error>(result == CUDA_SUCCESS, name, ": the driver refuses, error ", static_cast<int>(result));
}

TensorMap as_parameter(const CUtensorMap& map) {
  TensorMap parameter;
  std::memcpy(&parameter, &map, sizeof map);
  return parameter;
}

int upper_corner(MapAxis axis, std::int64_t size) {
  return axis.first + (axis.count - 1) * axis.step + 1 - static_cast<int>(size);
}

}  // namespace

TensorMap map_lines(const std::uint16_t* data, const MapSizes& sizes, int axis, int lines) {
  static const auto encode = driver_function<decltype(cuTensorMapEncodeTiled)>("cuTensorMapEncodeTiled");
  const Shape shape(sizes);
  cuuint32_t box[4] = {line, 1, 1, 1};
  box[axis] = static_cast<cuuint32_t>(lines);
  constexpr cuuint32_t steps[4] = {1, 1, 1, 1};
  CUtensorMap map{};
  check_map(encode(&map, CU_TENSOR_MAP_DATA_TYPE_UINT16, 4, const_cast<std::uint16_t*>(data), shape.sizes,
                   shape.strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                   CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
            "cuTensorMapEncodeTiled");
  return as_parameter(map);
}

TensorMap map_positions(const std::uint16_t* data, const MapSizes& sizes, MapAxis w, MapAxis h, int lines) {
  static const auto encode = driver_function<decltype(cuTensorMapEncodeIm2col)>("cuTensorMapEncodeIm2col");
  const Shape shape(sizes);
  const int lower[2] = {w.first, h.first}, upper[2] = {upper_corner(w, sizes[1]), upper_corner(h, sizes[2])};
  const cuuint32_t steps[4] = {1, static_cast<cuuint32_t>(w.step), static_cast<cuuint32_t>(h.step), 1};
  CUtensorMap map{};
  check_map(
      encode(&map, CU_TENSOR_MAP_DATA_TYPE_UINT16, 4, const_cast<std::uint16_t*>(data), shape.sizes, shape.strides,
             lower, upper, line, static_cast<cuuint32_t>(lines), steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
             CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
      "cuTensorMapEncodeIm2col");
  return as_parameter(map);
}

bool can_map(MapAxis axis, std::int64_t size, std::int64_t most_offset) {
  const auto is_corner = [](int at) { return at >= -128 && at < 128; };
  return is_corner(axis.first) && is_corner(upper_corner(axis, size)) && axis.step <= 8 && most_offset < 256;
}

bool can_map(std::int64_t bytes) {
  return bytes >= 128 << 10;  // drivers up to 13.1 get the maps of smaller arrays wrong
}

}  // namespace dip::cuda
