#include "cpu/failing_allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace dip::cpu {
namespace {

std::atomic<std::int64_t> left{-1};
std::atomic<bool> failed{false};

}  // namespace

void fail_allocation_after(std::int64_t count) {
  failed = false;
  left = count;
}

bool allocation_failed() {
  return failed;
}

void allocation_may_fail() {
  if (left.load(std::memory_order_relaxed) < 0 || left.fetch_sub(1) != 0) return;
  failed = true;
  throw std::bad_alloc();
}

}  // namespace dip::cpu

// What this module's own containers allocate with.
void* operator new(std::size_t bytes) {
  dip::cpu::allocation_may_fail();
  void* memory = std::malloc(bytes > 0 ? bytes : 1);
  if (!memory) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
