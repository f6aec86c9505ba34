// The fibers of one block: each has a stack of its own and runs until it meets a barrier or ends; when all have met the
// barrier, all go on, in a new order.
#include <algorithm>
#include <climits>
#include <cstring>
#include <numeric>
#include <random>
#include <stdexcept>
#include <vector>

#include "core/interruption.h"
#include "cuda/emulation/block.h"
#include "cuda/runtime.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if !defined(__x86_64__)
#error "the emulation switches stacks by hand, for x86-64 only"
#endif

namespace dip::emulation {

thread_local Dim3 thread_index, block_index, block_size, grid_size;
thread_local Block* block = nullptr;

namespace {

// Saves the registers a call must keep, and the stack, at *from; takes those of `to`. ucontext would make two system
// calls here.
__attribute__((naked, noinline)) void switch_stack(void** /*from*/, void* /*to*/) {
  asm(R"(
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
  )");
}

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

void wait(Waiting what) {
  block->fiber().waiting = what;
  void* own = nullptr;
  leave_stack(what == Waiting::end ? nullptr : &own, block->scheduler_stack, block->scheduler_stack_bytes);
  switch_stack(&block->fiber().top, block->scheduler);
  arrive_on_stack(own, &block->scheduler_stack, &block->scheduler_stack_bytes);
}

void enter_fiber() {
  arrive_on_stack(nullptr, &block->scheduler_stack, &block->scheduler_stack_bytes);
  try {
    (*block->body)();
  } catch (...) {
    block->error = std::current_exception();
  }
  wait(Waiting::end);
}

void start(Fiber& fiber) {
#if defined(__SANITIZE_ADDRESS__)
  // The frame of enter_fiber was left and never returned from, and where a block ended in an error all frames of its
  // fibers: their red zones are still marked.
  const std::size_t left = fiber.waiting == Waiting::end ? 2048 : stack_bytes;
  __asan_unpoison_memory_region(fiber.stack.get() + stack_bytes - left, left);
#endif
  fiber.waiting = Waiting::nothing;
  fiber.copies.clear();
  fiber.copy_groups.assign(1, 0);
  fiber.fences = fiber.finished = 0;
  fiber.products_begun = false;
  fiber.products.assign(1, {});
  // What switch_stack expects: six registers below the address it returns to. There the stack must be 8 bytes off a
  // multiple of 16, as after a call.
  auto address = reinterpret_cast<std::uintptr_t>(fiber.stack.get()) + stack_bytes;
  auto** top = reinterpret_cast<void**>(address / 16 * 16) - 2;
  *top = reinterpret_cast<void*>(&enter_fiber);
  top -= 6;
  std::fill(top, top + 6, nullptr);
  fiber.top = top;
}

void wake(Waiting what) {
  for (Fiber& fiber : block->fibers) {
    if (fiber.waiting == what) fiber.waiting = Waiting::nothing;
  }
}

Phases& phases_of(const void* barrier) {
  const auto found = block->phases.find(barrier);
  if (found == block->phases.end()) throw std::logic_error("a barrier of phases was not set up");
  return found->second;
}

void end_phase_if_complete(Phases& phases) {
  if (phases.missing > 0 || phases.bytes != 0) return;
  ++phases.over;
  phases.missing = phases.arrivals;
  wake(Waiting::phase);
}

// The copy unit brings any one of what it was asked for.
void deliver(std::mt19937_64& random) {
  const auto which = block->deliveries.begin() + static_cast<std::ptrdiff_t>(random() % block->deliveries.size());
  const Delivery delivery = std::move(*which);
  block->deliveries.erase(which);
  std::memcpy(delivery.to, delivery.bytes.data(), delivery.bytes.size());
  Phases& phases = phases_of(delivery.barrier);
  phases.bytes -= static_cast<std::int64_t>(delivery.bytes.size());
  end_phase_if_complete(phases);
}

void resume(std::size_t i) {
  block->running = i;
  Fiber& fiber = block->fiber();
  thread_index = fiber.index;
  void* own = nullptr;
  leave_stack(&own, fiber.stack.get(), stack_bytes);
  switch_stack(&block->scheduler, fiber.top);
  arrive_on_stack(own, nullptr, nullptr);
}

void run_block(std::mt19937_64& random) {
  std::vector<std::size_t> order(block->fibers.size());
  std::iota(order.begin(), order.end(), 0);
  for (Fiber& fiber : block->fibers) start(fiber);
  for (;;) {
    std::shuffle(order.begin(), order.end(), random);
    bool any = false;
    for (std::size_t i : order) {
      if (block->fibers[i].waiting != Waiting::nothing) continue;
      any = true;
      resume(i);
      if (block->error) std::rethrow_exception(block->error);
    }
    if (any) continue;  // warps may have gone on
    const auto at = [](Waiting what) {
      return std::all_of(block->fibers.begin(), block->fibers.end(), [=](const Fiber& f) { return f.waiting == what; });
    };
    if (!block->deliveries.empty()) {
      if (at(Waiting::end)) throw std::logic_error("a block ended before all came that it had asked the copy unit for");
      deliver(random);
      continue;
    }
    if (at(Waiting::end)) return count_until_barrier(0, block->fibers.size());
    if (std::any_of(block->fibers.begin(), block->fibers.end(),
                    [](const Fiber& fiber) { return fiber.waiting == Waiting::phase; })) {
      throw std::logic_error("a phase that threads wait for does not end");
    }
    if (!at(Waiting::block)) throw std::logic_error("a barrier was not reached by all threads of the block or warp");
    count_until_barrier(0, block->fibers.size());
    ++block->barriers;
    block->last_vote = block->vote;
    block->vote = false;
    wake(Waiting::block);
  }
}

}  // namespace

void set_seed(std::uint64_t value) {
  seed = value;
}

void barrier() {
  wait(Waiting::block);
}

bool barrier_or(bool value) {
  block->vote |= value;
  barrier();
  return block->last_vote;
}

void warp_barrier() {
  Warp& warp = block->warp();
  if (++warp.arrived < block->lanes()) return wait(Waiting::warp);
  warp.arrived = 0;
  warp.turn ^= 1;
  const std::size_t first = block->running / warp_size * warp_size;
  for (int lane = 0; lane < block->lanes(); ++lane) block->fibers[first + lane].waiting = Waiting::nothing;
}

void barrier_of(int threads) {
  if (static_cast<int>(block->running) >= threads) throw std::logic_error("a barrier is not this thread's");
  if (++block->part_arrived < threads) return wait(Waiting::part);
  block->part_arrived = 0;
  count_until_barrier(0, static_cast<std::size_t>(threads));
  ++block->barriers;
  wake(Waiting::part);
}

void set_up(Shared<PhaseBarrier> barrier, int arrivals) {
  check_access(barrier.array(), barrier.address(), sizeof(PhaseBarrier), Access::write);
  check_aligned(barrier.address(), sizeof(PhaseBarrier));
  block->phases[barrier.address()] = {arrivals, arrivals, 0, 0};
}

void arrive(Shared<PhaseBarrier> barrier, int expected_bytes) {
  Phases& phases = phases_of(barrier.address());
  phases.bytes += expected_bytes;
  if (--phases.missing < 0) throw std::logic_error("more threads arrive than a phase has arrivals");
  end_phase_if_complete(phases);
}

void wait_for_phase(Shared<PhaseBarrier> barrier, int parity) {
  while (phases_of(barrier.address()).over % 2 == parity) wait(Waiting::phase);
}

void begin_delivery(Shared<std::uint16_t> to, std::vector<char> bytes, Shared<PhaseBarrier> barrier) {
  const auto offset = reinterpret_cast<const char*>(to.address()) - to.array()->bytes.data();
  if (offset % 1024 != 0) throw std::logic_error("a box is copied to a multiple of 1024 bytes");
  if (offset < 0 || offset + bytes.size() > to.array()->bytes.size()) {
    throw std::logic_error("an access outside a shared array");
  }
  std::memset(to.address(), 0xff, bytes.size());
  count_event("boxes by the copy unit", bytes.size() / 128);
  block->deliveries.push_back({to.address(), std::move(bytes), barrier.address()});
}

float* warp_memory() {
  return block->warp().memory[block->warp().turn];
}

SharedArray* shared_array(const void* place, std::size_t bytes) {
  SharedArray& array = block->shared[place];
  if (array.words.empty()) {
    array.bytes.assign(bytes, static_cast<char>(0xff));
    array.words.resize((bytes + 3) / 4);
  }
  return &array;
}

SharedArray* dynamic_shared() {
  return shared_array(&block->dynamic_shared_bytes, block->dynamic_shared_bytes);
}

void check_access(SharedArray* array, const void* address, std::size_t bytes, Access access) {
  const auto offset = static_cast<const char*>(address) - array->bytes.data();
  if (offset < 0 || offset + bytes > array->bytes.size()) {
    throw std::logic_error("an access outside a shared array");
  }
  const int thread = static_cast<int>(block->running), now = block->barriers;
  for (std::size_t i = static_cast<std::size_t>(offset) / 4; i <= (offset + bytes - 1) / 4; ++i) {
    SharedArray::Word& word = array->words[i];
    const bool written = word.written_at == now && word.writer != thread;
    const bool read = word.read_at == now && word.reader != thread;
    const bool changed = word.atomic_at == now;
    if (written || (access != Access::read && read) || (access != Access::atomic && changed)) {
      throw std::logic_error("two threads use the same shared memory, and no barrier orders them");
    }
    if (access == Access::read) {
      word.reader = word.read_at == now && word.reader != thread ? -2 : thread;
      word.read_at = now;
    } else if (access == Access::write) {
      word.writer = thread;
      word.written_at = now;
      word.fences = block->fiber().fences;
    } else {
      word.atomic_at = now;
    }
  }
}

void check_aligned(const void* address, std::size_t bytes) {
  if (reinterpret_cast<std::uintptr_t>(address) % bytes != 0) throw std::logic_error("a wide access is unaligned");
}

// In flight from here on: whoever reads the place before the next barrier may find the old value or the new.
void copy_async(SharedArray* array, void* to, const void* from, std::size_t bytes, bool valid) {
  check_aligned(from, bytes);
  check_aligned(to, bytes);
  check_access(array, to, bytes, Access::write);
  count_access(Memory::global_load, valid ? from : nullptr, bytes, __builtin_return_address(0));
  count_access(Memory::shared_store, to, bytes, static_cast<const char*>(__builtin_return_address(0)) - 1);
  Copy copy{array, to, bytes, {}};
  if (valid) std::memcpy(copy.value, from, bytes);
  block->fiber().copies.push_back(copy);
  ++block->fiber().copy_groups.back();
}

void copy_async_commit() {
  block->fiber().copy_groups.push_back(0);
}

void copy_async_wait(int pending) {
  std::vector<Copy>& copies = block->fiber().copies;
  std::vector<std::size_t>& groups = block->fiber().copy_groups;
  const auto last = groups.end() - std::min<std::ptrdiff_t>(pending + 1, groups.end() - groups.begin());
  const auto arrived = copies.begin() + std::accumulate(groups.begin(), last, std::ptrdiff_t{0});
  for (auto copy = copies.begin(); copy != arrived; ++copy) {
    check_access(copy->array, copy->to, copy->bytes, Access::write);
    std::memcpy(copy->to, copy->value, copy->bytes);
  }
  copies.erase(copies.begin(), arrived);
  groups.erase(groups.begin(), last);
}

void run_grid(Dim3 grid, Dim3 threads, std::size_t dynamic_shared_bytes, const std::function<void()>& body,
              const void* kernel) {
  static thread_local std::vector<Fiber> fibers;  // their stacks are kept from launch to launch
  const std::size_t count = std::size_t{threads.x} * threads.y * threads.z;
  const bool has_blocks =
      grid.x > 0 && grid.y > 0 && grid.z > 0 && grid.x <= INT_MAX && std::max(grid.y, grid.z) < 1 << 16;
  if (!has_blocks || count == 0 || count > 1024 ||
      dynamic_shared_bytes > static_cast<std::size_t>(cuda::shared_bytes_a_block())) {
    throw std::logic_error("no GPU takes such a launch: its blocks, their threads or their shared memory");
  }
  if (fibers.size() != count) fibers = std::vector<Fiber>(count);
  Block current(fibers);
  current.dynamic_shared_bytes = dynamic_shared_bytes;
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
  begin_counting(kernel, std::size_t{grid.x} * grid.y * grid.z, count);
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        check_interruption();
        block_index = {x, y, z};
        for (auto& [place, array] : current.shared) array.words.clear();  // to be made again, in the same memory
        current.phases.clear();
        run_block(random);
      }
    }
  }
  begin_counting(nullptr, 0, 0);
  block = nullptr;
}

std::size_t running_thread() {
  return block->running;
}

bool in_own_stack(const void* address) {
  const auto offset = static_cast<const char*>(address) - block->fiber().stack.get();
  return offset >= 0 && offset < static_cast<std::ptrdiff_t>(stack_bytes);
}

bool in_shared_memory(const void* address) {
  return std::any_of(block->shared.begin(), block->shared.end(), [&](const auto& each) {
    const auto offset = static_cast<const char*>(address) - each.second.bytes.data();
    return offset >= 0 && offset < static_cast<std::ptrdiff_t>(each.second.bytes.size());
  });
}

}  // namespace dip::emulation
