#include "cpu/memory.h"

#if defined(__GLIBC__) || __has_include(<malloc.h>)
#include <malloc.h>
#endif
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <list>
#include <new>
#include <unordered_map>

#include "cpu/failing_allocations.h"
#include "cpu/parallel.h"

namespace dip::cpu {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool sanitized = true;  // every result gets memory of its own and of its exact size, or errors would hide
#else
constexpr bool sanitized = false;
#endif

constexpr std::size_t huge_page = 2 << 20, most_kept_blocks = 256;

struct Block {
  void* memory;
  std::size_t bytes;
};

struct Blocks {
  std::unordered_map<void*, std::size_t> used;  // the size of each
  std::list<Block> kept;                        // the last one given back first
  std::size_t kept_bytes = 0;
};

// Never destroyed: results may outlive the module.
Blocks& blocks() {
  static Blocks* const all = new Blocks;
  return *all;
}

// What this process may have: the machine's memory, or what its control group grants it of that.
std::size_t available_bytes() {
  std::size_t bytes =
      static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGE_SIZE));
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::size_t limit = 0;
    if (std::ifstream(path) >> limit) bytes = std::min(bytes, limit);  // "max" is no number
  }
  return bytes;
}

std::size_t most_kept_bytes() {
  static const std::size_t limit = sanitized ? 0 : available_bytes() / 16;
  return limit;
}

std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

// Sizes in steps of an eighth or less, so that batches of slightly different size share blocks.
std::size_t block_size(std::size_t bytes) {
  if (sanitized) return bytes;
  std::size_t step = 64;
  while (step * 16 < bytes) step *= 2;
  return round_up(bytes, step);
}

void free_oldest() {
  std::free(blocks().kept.back().memory);
  blocks().kept_bytes -= blocks().kept.back().bytes;
  blocks().kept.pop_back();
}

}  // namespace

void* allocate(std::size_t bytes) {
  allocation_may_fail();
  const bool large = bytes >= 2 * huge_page;
  void* memory = nullptr;
  if (posix_memalign(&memory, large ? huge_page : 64, bytes) != 0) throw std::bad_alloc();
  if (large) madvise(memory, bytes / huge_page * huge_page, MADV_HUGEPAGE);  // only a wish
  return memory;
}

void* take_result_memory(std::size_t bytes) {
  Blocks& all = blocks();
  const std::size_t size = block_size(bytes);
  for (auto block = all.kept.begin(); block != all.kept.end(); ++block) {
    if (block->bytes != size) continue;
    void* memory = block->memory;
    all.used.emplace(memory, size);
    all.kept_bytes -= size;
    all.kept.erase(block);
    return memory;
  }
  void* memory = nullptr;
  try {
    memory = allocate(size);
  } catch (const std::bad_alloc&) {
    free_kept_memory();
    memory = allocate(size);
  }
  all.used.emplace(memory, size);
  return memory;
}

void give_result_memory_back(void* memory) {
  Blocks& all = blocks();
  const auto used = all.used.find(memory);
  all.kept.push_front({memory, used->second});
  all.kept_bytes += used->second;
  all.used.erase(used);
  while (all.kept_bytes > most_kept_bytes() || all.kept.size() > most_kept_blocks) free_oldest();
}

void free_kept_memory() {
  while (!blocks().kept.empty()) free_oldest();
}

void free_all_memory() {
  free_kept_memory();
  stop_threads();
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

}  // namespace dip::cpu
