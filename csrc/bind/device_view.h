// An array on the GPU as its library describes it, without a copy.
#pragma once

#include <pybind11/pybind11.h>

#include <optional>
#include <string>

#include "bind/call_state.h"
#include "bind/library.h"

namespace dip::cuda {

struct View {
  pybind11::object owner;  // keeps the memory alive
  const Library* library = nullptr;
  void* data = nullptr;
  std::optional<DType> dtype;
  std::string dtype_name;  // of one that is none of ours
  Shape shape, strides;    // strides in elements; empty where contiguous
  int device = 0;
  bool read_only = false;  // false where nobody asked

  const char* name_of_dtype() const { return dtype ? name_of(*dtype) : dtype_name.c_str(); }
};

// `asks_read_only`: whether `read_only` must be right. Throws TypeError or ValueError in the name of operator and
// argument for what is no array on a GPU.
View view_of(pybind11::handle object, const char* op, const char* name, bool asks_read_only, CallStream& stream);

}  // namespace dip::cuda
