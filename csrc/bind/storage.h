// How the dtypes of GPU arrays are called by the protocols through which libraries hand them over.
#pragma once

#include <string>

#include "bind/dlpack.h"
#include "core/tensor.h"

namespace dip::cuda {

struct Storage {
  DType dtype;
  const char* numpy;  // the typestr of __array_interface__; null where NumPy has no such dtype
  dlpack::DataType dlpack;
};

constexpr Storage storages[] = {
    {DType::float32, "<f4", {dlpack::code_float, 32, 1}}, {DType::float64, "<f8", {dlpack::code_float, 64, 1}},
    {DType::float16, "<f2", {dlpack::code_float, 16, 1}}, {DType::bfloat16, nullptr, {dlpack::code_bfloat, 16, 1}},
    {DType::int32, "<i4", {dlpack::code_int, 32, 1}},     {DType::int64, "<i8", {dlpack::code_int, 64, 1}},
    {DType::int16, "<i2", {dlpack::code_int, 16, 1}},     {DType::int8, "|i1", {dlpack::code_int, 8, 1}},
    {DType::uint8, "|u1", {dlpack::code_uint, 8, 1}},     {DType::uint16, "<u2", {dlpack::code_uint, 16, 1}},
    {DType::uint32, "<u4", {dlpack::code_uint, 32, 1}},   {DType::uint64, "<u8", {dlpack::code_uint, 64, 1}},
};

constexpr const Storage& storage_of(DType dtype) {
  return storages[static_cast<int>(dtype)];
}
static_assert(
    [] {
      for (const Storage& storage : storages) {
        if (storage_of(storage.dtype).dtype != storage.dtype) return false;
      }
      return true;
    }(),
    "the table has the order of the dtypes");

}  // namespace dip::cuda
