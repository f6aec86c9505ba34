#include "core/tensor.h"

#include "core/check.h"

namespace dip {

const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::float32: return "float32";
    case DType::float64: return "float64";
    case DType::float16: return "float16";
    case DType::bfloat16: return "bfloat16";
    case DType::int32: return "int32";
    case DType::int64: return "int64";
    case DType::int16: return "int16";
    case DType::int8: return "int8";
    case DType::uint8: return "uint8";
    case DType::uint16: return "uint16";
    case DType::uint32: return "uint32";
    case DType::uint64: return "uint64";
  }
  return "unknown";
}

std::int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::int8:
    case DType::uint8: return 1;
    case DType::float16:
    case DType::bfloat16:
    case DType::int16:
    case DType::uint16: return 2;
    case DType::float64:
    case DType::int64:
    case DType::uint64: return 8;
    default: return 4;
  }
}

std::int64_t element_count(const Shape& shape, const char* name, const char* op) {
  std::int64_t count = 1;
  for (std::int64_t extent : shape) {
    if (__builtin_mul_overflow(count, extent, &count) || count > INT64_MAX / 8) {
      fail(op, *op ? ": " : "", name, " of shape ", shape, " holds more elements than 64-bit addresses reach");
    }
  }
  return count;
}

}  // namespace dip
