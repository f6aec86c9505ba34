// What an operator sees of an array: a pointer, a dtype and a shape, always C-contiguous.
// Plain data: no Python, no ownership. The binding layer keeps the owner alive.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace dip {

enum class DType { float32, float64, float16, bfloat16, int32, int64, int16, int8, uint8, uint16, uint32, uint64 };

const char* name_of(DType dtype);
std::int64_t size_of(DType dtype);

using Shape = std::vector<std::int64_t>;

// The product of the extents. Throws ValueError, naming operator and array, when it does not fit into int64.
std::int64_t element_count(const Shape& shape, const char* name, const char* op = "");

struct Tensor {
  void* data = nullptr;
  DType dtype = DType::float32;
  Shape shape;
  std::int64_t count = 0;

  float* f32() const { return static_cast<float*>(data); }
  std::int32_t* i32() const { return static_cast<std::int32_t*>(data); }
  std::int64_t* i64() const { return static_cast<std::int64_t*>(data); }
};

}  // namespace dip
