// The threads of a block as fibers: what the device layer on the host is made of.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <vector>

#include "cuda/emulation/counter.h"
#include "cuda/gemm/tensor_map.h"

// For loops over the emulation's own memory, of known size, in which sanitizers would take most of the time.
#if defined(__SANITIZE_ADDRESS__)
#define DIP_UNSANITIZED __attribute__((no_sanitize("address"), no_sanitize("undefined")))
#else
#define DIP_UNSANITIZED
#endif

namespace dip::emulation {

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
};

extern thread_local Dim3 thread_index, block_index, block_size, grid_size;

// Runs `body` once for each thread of each block. `kernel` is the function's address, for counters.
void run_grid(Dim3 grid, Dim3 block, std::size_t dynamic_shared_bytes, const std::function<void()>& body,
              const void* kernel);

// Does `work` now, or records it where a graph is captured.
void submit(std::function<void()> work);

// False: work is dropped, to time what a call does besides.
void set_launches(bool on);

// How many the emulated device says it has: plans depend on it.
void set_multiprocessors(int count);

// The order in which the fibers of a block run is drawn anew from `seed` at every barrier.
void set_seed(std::uint64_t seed);

void barrier();

// True for all threads of the block where `value` is for any.
bool barrier_or(bool value);

// Waits for the 32 threads of this one's warp.
void warp_barrier();

// Memory of this thread's warp for exchanges between two warp barriers.
float* warp_memory();

// An array in the memory of a block, with what happened to each of its words since the last barrier.
struct SharedArray {
  struct Word {
    int written_at = -1, read_at = -1, atomic_at = -1;  // numbers of barriers
    int writer = -1, reader = -1;                       // threads; reader -2: several
    int fences = 0;                                     // that the writer had made
  };
  std::vector<char> bytes;
  std::vector<Word> words;
};

// The block's array declared at `place`: made for its first thread, filled with 0xff bytes.
SharedArray* shared_array(const void* place, std::size_t bytes);
SharedArray* dynamic_shared();

enum class Access { read, write, atomic };

// Throws where the access is outside the array, or where another thread used the same words since the last barrier and
// one of the two changed them: then nothing orders them.
void check_access(SharedArray* array, const void* address, std::size_t bytes, Access access);

// Throws where the address is no multiple of `bytes`, as accesses of so many bytes at once must be.
void check_aligned(const void* address, std::size_t bytes);

// A pointer into shared memory that checks every access.
template <class T>
class Shared {
 public:
  class Reference {
    // Of structures the compiler's hooks see which members are used.
    static constexpr bool is_counted = counts && std::is_arithmetic_v<T>;

   public:
    Reference(SharedArray* array, T* address) : array_(array), address_(address) {}
    DIP_SEEN operator T() const {
      check_access(array_, address_, sizeof(T), Access::read);
      if constexpr (!is_counted) return *address_;
      T value;
      count_access(Memory::shared_load, address_, sizeof(T));
      copy_unseen(&value, address_, sizeof(T));
      return value;
    }
    DIP_SEEN Reference& operator=(const T& value) {
      check_access(array_, address_, sizeof(T), Access::write);
      if constexpr (is_counted) {
        count_access(Memory::shared_store, address_, sizeof(T));
        copy_unseen(address_, &value, sizeof(T));
      } else {
        *address_ = value;
      }
      return *this;
    }
    DIP_SEEN Reference& operator=(const Reference& other) { return *this = static_cast<T>(other); }
    DIP_SEEN Reference& operator+=(const T& value) { return *this = static_cast<T>(*this) + value; }

   private:
    SharedArray* array_;
    T* address_;
  };

  Shared() = default;
  Shared(SharedArray* array, T* address) : array_(array), address_(address) {}
  Reference operator[](std::int64_t i) const { return {array_, address_ + i}; }
  Shared operator+(std::int64_t i) const { return {array_, address_ + i}; }
  SharedArray* array() const { return array_; }
  T* address() const { return address_; }

 private:
  SharedArray* array_ = nullptr;
  T* address_ = nullptr;
};

// Copies of one thread, of `bytes` up to 16 each, that arrive when they are waited for, and not before.
void copy_async(SharedArray* array, void* to, const void* from, std::size_t bytes, bool valid);
void copy_async_commit();
void copy_async_wait(int pending);

// A descriptor of wgmma, and the array that its addresses are in.
struct SharedMatrix {
  SharedArray* array;
  std::uint64_t descriptor;
};

// What this thread wrote to shared memory is there for the products of warpgroups after the next barrier.
void fence_shared_matrices();

using WarpgroupSums = float[16][4];

// What a warpgroup multiplies: numbers of so many bytes, and their values.
struct NumberFormat {
  int bytes;
  float (*read)(const char* from);
};

// Products of the 128 threads of a warpgroup, each of which gives its part of the sums. They happen when their group is
// waited for, and not before.
void begin_products();
void multiply_group(WarpgroupSums& sums, SharedMatrix a, bool a_across, SharedMatrix b, bool b_across,
                    NumberFormat format);
void commit_products();
void wait_for_products(int pending);

// Waits for the first `threads` of the block.
void barrier_of(int threads);

using PhaseBarrier = std::uint64_t;
void set_up(Shared<PhaseBarrier> barrier, int arrivals);
void arrive(Shared<PhaseBarrier> barrier, int expected_bytes);
void wait_for_phase(Shared<PhaseBarrier> barrier, int parity);

// The copy unit: what it brings arrives some time after it was asked for. Until then there are 0xff bytes.
void copy_lines_async(Shared<std::uint16_t> to, const cuda::TensorMap& map, Shared<PhaseBarrier> barrier,
                      const std::array<int, 4>& from);
void copy_positions_async(Shared<std::uint16_t> to, const cuda::TensorMap& map, Shared<PhaseBarrier> barrier,
                          const std::array<int, 4>& from, const std::array<int, 2>& offset);

// Has the copy unit bring these.
void begin_delivery(Shared<std::uint16_t> to, std::vector<char> bytes, Shared<PhaseBarrier> barrier);

}  // namespace dip::emulation
