// Sums whose error does not grow with their length.
#pragma once

#include "cuda/device.h"

namespace dip::cuda {

// A sum of any length: so many numbers are added plainly, and to their sums is added what each addition lost of the
// smaller number (Neumaier 1974).
class LongSum {
 public:
  static constexpr int plain = 64;

  __device__ void add(float value) { add_product(1.0f, value); }
  __device__ void add_product(float a, float b) {
    part_ = fmaf(a, b, part_);
    if (++count_ == plain) settle();
  }
  __device__ float total() {
    settle();
    return lost_ == lost_ ? whole_ + lost_ : whole_;  // beside an infinity what is lost is no number
  }

 private:
  __device__ void settle() {
    const float sum = whole_ + part_;
    lost_ += fabsf(whole_) < fabsf(part_) ? (part_ - sum) + whole_ : (whole_ - sum) + part_;
    whole_ = sum;
    part_ = 0.0f;
    count_ = 0;
  }

  float part_ = 0.0f, whole_ = 0.0f, lost_ = 0.0f;
  int count_ = 0;
};

// The same for few numbers.
class ShortSum {
 public:
  __device__ void add(float value) { sum_ += value; }
  __device__ void add_product(float a, float b) { sum_ = fmaf(a, b, sum_); }
  __device__ float total() const { return sum_; }

 private:
  float sum_ = 0.0f;
};

// Channels of which a thread keeps sums, where what it reads them by is the same for all.
constexpr int channels_a_thread = 8;

}  // namespace dip::cuda
