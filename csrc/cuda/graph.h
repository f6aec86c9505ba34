// What the CUDA runtime's other parts must know of the graph that a thread captures.
#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <mutex>
#include <vector>

#include "cuda/faults.h"
#include "cuda/runtime.h"

namespace dip::cuda {

// The memory of one graph. Its launches keep the addresses, so nothing goes back to CUDA before the graph and all
// arrays made in its capture are gone. Blocks serve again within the capture, in the order of the launches.
struct GraphMemory {
  ~GraphMemory();

  void* take(std::size_t bytes);
  void give_back(void* data);

  // What is given back in between serves again when branches are closed: they may still use it.
  void open_branches();
  void close_branches();
  bool branches_are_open() const { return branches_are_open_; }

 private:
  enum class Use { free, used, given_back };
  struct Block {
    void* data;
    std::size_t bytes;
    Use use;
  };

  std::mutex mutex_;
  std::vector<Block> blocks_;
  bool branches_are_open_ = false;
};

// Of this thread; null where it captures none.
const Graph* graph_of_capture();
const std::shared_ptr<GraphMemory>& memory_of_capture();

// The errors that are raised later, of all threads.
FaultList& faults();

}  // namespace dip::cuda
