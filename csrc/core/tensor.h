// What an array is made of: its dtype and its shape.
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

}  // namespace dip
