// Counts what the warps of kernels ask of memory, as Nsight Compute does on a GPU: requests, sectors of 32 bytes of
// global memory, wavefronts of shared memory. It works in a build with DIP_COUNTERS, in which clang reports every load,
// store and basic block of the kernels; in any other these functions do nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

namespace dip::emulation {

enum class Memory { global_load, global_store, shared_load, shared_store, shared_atomic };

#if defined(DIP_COUNTERS)

constexpr bool counts = true;
// What a kernel does itself must be inlined into it, so that places are its own.
#define DIP_SEEN __attribute__((always_inline))

// An access of the running thread, from the place that called this; null: of a lane that is switched off.
__attribute__((noinline)) void count_access(Memory memory, const void* address, std::size_t bytes);
// The same, from the place that called the caller.
void count_access(Memory memory, const void* address, std::size_t bytes, const void* place);

// Something that a warp or warpgroup does as one, and how many wavefronts it reads from shared memory.
void count_event(const char* what, std::uint64_t wavefronts);

// What no hook sees.
__attribute__((noinline)) void copy_unseen(void* to, const void* from, std::size_t bytes);

// Of run_grid: a kernel starts; the threads of its block from `first` to `last` have met a barrier, or ended.
void begin_counting(const void* kernel, std::size_t blocks, std::size_t threads);
void count_until_barrier(std::size_t first, std::size_t last);

#else

constexpr bool counts = false;
#define DIP_SEEN

inline void count_access(Memory, const void*, std::size_t) {}
inline void count_access(Memory, const void*, std::size_t, const void*) {}
inline void count_event(const char*, std::uint64_t) {}
inline void copy_unseen(void*, const void*, std::size_t) {}
inline void begin_counting(const void*, std::size_t, std::size_t) {}
inline void count_until_barrier(std::size_t, std::size_t) {}

#endif

// Since the last call. Addresses are offsets in the module, for a symbolizer: of each kernel (offset, launches, blocks,
// threads a block, different sectors of global memory read, written); of each of its places that use memory (kernel,
// place, memory, requests, sectors or wavefronts, how few these could be, bytes used, lanes); of each event (kernel,
// what, times, wavefronts).
struct Counts {
  std::vector<std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t>>
      kernels;
  std::vector<std::tuple<std::uint64_t, std::uint64_t, int, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t,
                         std::uint64_t>>
      places;
  std::vector<std::tuple<std::uint64_t, std::string, std::uint64_t, std::uint64_t>> events;
};
Counts take_counts();

// The thread that runs, and whether an address is on its stack or in its block's shared memory (fibers.cpp), or in an
// array of the GPU (device_runtime.cpp), which is asked for once a launch.
std::size_t running_thread();
bool in_own_stack(const void* address);
bool in_shared_memory(const void* address);
std::vector<std::pair<std::uintptr_t, std::uintptr_t>> device_memory();

}  // namespace dip::emulation
