// The libraries whose GPU arrays operators take, and give back.
#pragma once

#include <pybind11/pybind11.h>

#include "bind/device_array.h"
#include "bind/dlpack.h"

namespace dip::cuda {

// What is known of a type of arrays.
struct Library {
  bool is_own = false;                            // the type is DeviceArray
  const dlpack::ExchangeApi* exchange = nullptr;  // its functions in C, where the library has them
  bool records_gradients = false;                 // its arrays have requires_grad
  // Of a library without such functions that works in a stream of its own: called with an array, its number.
  pybind11::object current_stream;
  // Makes its array of one of ours; null where callers get a DeviceArray.
  pybind11::object from_dlpack;
};

// Found out at the first array of each type, and kept.
const Library& library_of(pybind11::handle array);

bool is_cuda(std::int32_t dlpack_device_type);

// Whether an object is an array on a GPU, by the protocols it speaks.
bool is_on_gpu(pybind11::handle object);

// The same as (type, number) of DLPack by the object's own method; nothing else is asked. {0, 0}: it has none.
dlpack::Device dlpack_device_of(pybind11::handle object);

// A new array of the library, which must have an exchange API, in its own memory and with its own type; `data` is where
// it lies.
pybind11::object allocate(const Library& library, DType dtype, const Shape& shape, int device, void** data);

// What a caller who brought arrays of this library gets for one of ours.
pybind11::object to_library(const Library& library, const DeviceArray& array);

}  // namespace dip::cuda
