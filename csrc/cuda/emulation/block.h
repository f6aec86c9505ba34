// A block that runs: its fibers, their warps, its shared memory, and what is under way.
#pragma once

#include <algorithm>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "cuda/emulation/fibers.h"

namespace dip::emulation {

constexpr std::size_t stack_bytes = 64 << 10;
constexpr int warp_size = 32;

enum class Waiting { nothing, warp, part, block, phase, end };

struct Copy {
  SharedArray* array;
  void* to;
  std::size_t bytes;
  char value[16];
};

// One product of a warpgroup, 64 × 128 and 32 bytes deep. Its operands are read for all 128 threads at once, by the
// first.
struct GroupProduct {
  WarpgroupSums* sums;
  SharedMatrix a, b;
  bool a_across, b_across;
  NumberFormat format;

  int depth() const { return 32 / format.bytes; }
};

struct GroupOperands {
  float a[64][16], b[16][128];
  int threads = 0;  // that had them
};

struct Fiber {
  std::unique_ptr<char[]> stack{new char[stack_bytes]};
  void* top = nullptr;  // the saved stack pointer
  Dim3 index;
  Waiting waiting = Waiting::nothing;
  std::vector<Copy> copies;              // asynchronous ones under way, in the order in which they began
  std::vector<std::size_t> copy_groups;  // how many of them belong to each group, the last one open
  int fences = 0;
  bool products_begun = false;
  std::vector<std::vector<GroupProduct>> products;  // groups under way, the last one open
  int finished = 0;
};

// Brought by the copy unit, for a phase of a barrier.
struct Delivery {
  void* to;
  std::vector<char> bytes;
  const void* barrier;
};

struct Phases {
  int arrivals = 0, missing = 0;  // of a phase, and of this one
  std::int64_t bytes = 0;         // that this one waits for
  int over = 0;
};

struct Warp {
  int arrived = 0;
  int turn = 0;
  float memory[2][384];  // used in turn, so that one barrier an exchange is enough
};

struct Block {
  explicit Block(std::vector<Fiber>& all) : fibers(all), warps((all.size() + warp_size - 1) / warp_size) {}

  std::vector<Fiber>& fibers;
  std::vector<Warp> warps;
  std::map<const void*, SharedArray> shared;
  std::map<std::pair<std::size_t, int>, GroupOperands> operands;  // by warpgroup and number of the product
  std::map<const void*, Phases> phases;
  std::vector<Delivery> deliveries;  // under way
  int part_arrived = 0;
  int barriers = 0;
  std::size_t dynamic_shared_bytes = 0;
  void* scheduler = nullptr;
  const void* scheduler_stack = nullptr;  // its bounds, as AddressSanitizer wants to be told
  std::size_t scheduler_stack_bytes = 0;
  std::size_t running = 0;
  bool vote = false, last_vote = false;  // at the barrier that is being met, and at the one before
  const std::function<void()>* body = nullptr;
  std::exception_ptr error;

  Fiber& fiber() { return fibers[running]; }
  Warp& warp() { return warps[running / warp_size]; }
  int lanes() const {
    return static_cast<int>(std::min<std::size_t>(warp_size, fibers.size() - running / warp_size * warp_size));
  }
};

extern thread_local Block* block;  // that runs

}  // namespace dip::emulation
