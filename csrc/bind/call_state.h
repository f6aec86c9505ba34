// What a backend keeps during one call of an operator.
#pragma once

#include <pybind11/pybind11.h>

#include <vector>

#include "cuda/runtime.h"

namespace dip::cpu {

struct CallState {};

}  // namespace dip::cpu

namespace dip::cuda {

struct Library;

// The stream in which an operator works, and that of the library whose arrays it got.
class CallStream {
 public:
  // What the library's stream was given so far comes before what the current stream gets from now on, and what this
  // call gives it before what the library's stream gets next. The first library with a stream of its own makes it
  // current, unless dipkernels.cuda.stream or a capture chose one.
  void join(const Library& library, pybind11::handle array, int device);

  // Memory of ours that the call uses.
  void use(DeviceMemory& memory);

  CallStream() = default;
  CallStream(const CallStream&) = delete;
  CallStream& operator=(const CallStream&) = delete;
  ~CallStream();

 private:
  const Library* joined_ = nullptr;
  Stream theirs_ = nullptr;
  std::vector<DeviceMemory*> used_;  // before a library was joined
};

struct CallState {
  int device_before = -1;
  int device = -1;                   // that holds the arguments, once one is known
  const Library* library = nullptr;  // of the first array, and so of the results
  CallStream stream;
};

}  // namespace dip::cuda
