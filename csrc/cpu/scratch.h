// Memory an operator needs while it runs. It is kept from call to call, so a training loop does not pay for fresh
// pages at every step.
#pragma once

#include <cstdint>
#include <cstdlib>

#include "cpu/memory.h"

namespace dip::cpu {

class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::free(data_); }

  float* floats(std::int64_t count) { return static_cast<float*>(bytes(count * 4)); }
  double* doubles(std::int64_t count) { return static_cast<double*>(bytes(count * 8)); }
  std::uint16_t* halves(std::int64_t count) { return static_cast<std::uint16_t*>(bytes(count * 2)); }

 private:
  void* bytes(std::int64_t size) {
    if (size > size_) {
      std::free(data_);
      data_ = nullptr;  // the allocation may throw
      size_ = 0;
      data_ = allocate(static_cast<std::size_t>(size));
      size_ = size;
    }
    return data_;
  }

  void* data_ = nullptr;
  std::int64_t size_ = 0;
};

}  // namespace dip::cpu
