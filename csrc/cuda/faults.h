// The list behind watch() and raise_faults(): one for the CUDA runtime and the emulation.
#pragma once

#include <mutex>
#include <vector>

#include "cuda/runtime.h"

namespace dip::cuda {

// The records lie in an array that the backend allocates where host and device both reach it.
class FaultList {
 public:
  static constexpr int capacity = 1024;

  // `wait_for_all` waits until the device has nothing left to do.
  FaultList(Fault* records, void (*wait_for_all)());

  // `graph` is the one that is being captured, or null.
  Fault* watch(RaiseFault raise, const Graph* graph);

  // To be called before a capture, in which watch() cannot wait.
  void make_room();

  void raise_first();

  void forget_graph(const Graph* graph);

 private:
  struct Entry {
    RaiseFault raise;  // empty: the record is free
    const Graph* graph = nullptr;
    std::uint64_t issued = 0;
  };

  void forget_passed();
  void clear(int i);
  int find_free() const;

  std::mutex mutex_;
  Fault* records_;
  void (*wait_for_all_)();
  std::vector<Entry> entries_;
  std::uint64_t issued_ = 0;
  int next_ = 0;
};

}  // namespace dip::cuda
