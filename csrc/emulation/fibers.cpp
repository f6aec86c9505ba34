// The fibers of one block: each has a stack of its own and runs until it meets a barrier or ends; when all have met the
// barrier, all go on, in a new order.
#include <ucontext.h>

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "emulation/device.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace dip::emulation {

thread_local Dim3 thread_index, block_index, block_size, grid_size;

namespace {

constexpr std::size_t stack_bytes = 64 << 10;

struct Fiber {
  std::unique_ptr<char[]> stack{new char[stack_bytes]};
  ucontext_t context{};
  Dim3 index;
  bool finished = false;
};

struct Block {
  explicit Block(std::vector<Fiber>& all) : fibers(all) {}

  std::vector<Fiber>& fibers;
  std::map<const void*, std::vector<char>> shared;
  bool vote = false, last_vote = false;  // at the barrier that is being met, and at the one before
  ucontext_t scheduler{};
  const void* scheduler_stack = nullptr;  // its bounds, as AddressSanitizer wants to be told
  std::size_t scheduler_stack_bytes = 0;
  Fiber* running = nullptr;
  const std::function<void()>* body = nullptr;
  std::exception_ptr error;
};

thread_local Block* block = nullptr;
thread_local std::uint64_t seed = 0;

// AddressSanitizer follows each switch of stacks between these two calls; elsewhere they are nothing.
void leave_stack(void** own, const void* next, std::size_t next_bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(own, next, next_bytes);
#else
  (void)own, (void)next, (void)next_bytes;
#endif
}

void arrive_on_stack(void* own, const void** before, std::size_t* before_bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(own, before, before_bytes);
#else
  (void)own, (void)before, (void)before_bytes;
#endif
}

void enter_fiber() {
  arrive_on_stack(nullptr, &block->scheduler_stack, &block->scheduler_stack_bytes);
  try {
    (*block->body)();
  } catch (...) {
    block->error = std::current_exception();
  }
  block->running->finished = true;
  leave_stack(nullptr, block->scheduler_stack, block->scheduler_stack_bytes);
  swapcontext(&block->running->context, &block->scheduler);
}

void resume(Fiber& fiber) {
  block->running = &fiber;
  thread_index = fiber.index;
  void* own = nullptr;
  leave_stack(&own, fiber.stack.get(), stack_bytes);
  swapcontext(&block->scheduler, &fiber.context);
  arrive_on_stack(own, nullptr, nullptr);
}

void run_block(std::mt19937_64& random) {
  std::vector<std::size_t> order(block->fibers.size());
  std::iota(order.begin(), order.end(), 0);
  for (Fiber& fiber : block->fibers) {
    fiber.finished = false;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = stack_bytes;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, enter_fiber, 0);
  }
  for (;;) {
    std::shuffle(order.begin(), order.end(), random);
    std::size_t finished = 0;
    for (std::size_t i : order) {
      resume(block->fibers[i]);
      finished += block->fibers[i].finished;
      if (block->error) std::rethrow_exception(block->error);
    }
    block->last_vote = block->vote;
    block->vote = false;
    if (finished == block->fibers.size()) return;
    if (finished > 0) throw std::logic_error("a barrier was not reached by all threads of the block");
  }
}

}  // namespace

void set_seed(std::uint64_t value) {
  seed = value;
}

void barrier() {
  void* own = nullptr;
  leave_stack(&own, block->scheduler_stack, block->scheduler_stack_bytes);
  swapcontext(&block->running->context, &block->scheduler);
  arrive_on_stack(own, &block->scheduler_stack, &block->scheduler_stack_bytes);
}

bool barrier_or(bool value) {
  block->vote |= value;
  barrier();
  return block->last_vote;
}

void* shared_array(const void* place, std::size_t bytes) {
  std::vector<char>& array = block->shared[place];
  if (array.empty()) array.assign(bytes, static_cast<char>(0xff));
  return array.data();
}

void run_grid(Dim3 grid, Dim3 threads, const std::function<void()>& body) {
  static thread_local std::vector<Fiber> fibers;  // their stacks are kept from launch to launch
  const std::size_t count = std::size_t{threads.x} * threads.y * threads.z;
  if (fibers.size() != count) fibers = std::vector<Fiber>(count);
  Block current(fibers);
  current.body = &body;
  block = &current;
  block_size = threads;
  grid_size = grid;
  std::size_t i = 0;
  for (unsigned z = 0; z < threads.z; ++z) {
    for (unsigned y = 0; y < threads.y; ++y) {
      for (unsigned x = 0; x < threads.x; ++x) current.fibers[i++].index = {x, y, z};
    }
  }
  std::mt19937_64 random(seed);
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        block_index = {x, y, z};
        current.shared.clear();
        run_block(random);
      }
    }
  }
  block = nullptr;
}

}  // namespace dip::emulation
