#include "cuda/emulation/planted_faults.h"

#include <numeric>
#include <vector>

#include "core/check.h"
#include "cuda/device.h"
#include "cuda/gemm/packed/launch.h"

namespace dip::cuda {
namespace {

constexpr int threads = 128;  // a warpgroup
constexpr int box_numbers = 512;

// Each thread hands its number to its neighbour through shared memory.
__global__ void rotate_kernel(bool with_barrier, int* result) {
  DIP_SHARED_ARRAY(int, numbers, threads);
  numbers[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (with_barrier) __syncthreads();
  result[threadIdx.x] = numbers[(threadIdx.x + 1) % threads];
}

// Each thread reads its own number back from shared memory, where an asynchronous copy brings it.
__global__ void copy_kernel(const float* numbers, int* result) {
  DIP_SHARED_ARRAY(float, copies, threads);
  copy_async(copies + threadIdx.x, numbers + threadIdx.x, true);
  copy_async_commit();
  copy_async_wait<1>();  // 0 would wait for the group
  result[threadIdx.x] = copies[threadIdx.x] == static_cast<float>(threadIdx.x);
}

// A warpgroup multiplies: row i of A has its one in depth i % 16, so that the product's rows are depths of B.
__global__ void warpgroup_kernel(bool with_fence, bool with_barrier, bool with_finish, int* result) {
  using A = MatrixSlice<64, octet>;
  using B = MatrixSlice<128, octet>;
  const Shared<std::uint16_t> a = dynamic_shared<std::uint16_t>(), b = a + A::numbers;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  const auto number_of_b = [](int column, int d) { return static_cast<float>(column % 16 * 16 + d); };
  for (int d = 0; d < 16; ++d) {
    const int place = B::at(thread, d / octet) + d % octet;
    b[place] = Bfloat::round(number_of_b(thread, d)).bits;
    if (thread < 64) a[A::at(thread, d / octet) + d % octet] = Bfloat::round(d == thread % 16 ? 1.0f : 0.0f).bits;
  }
  if (with_fence) fence_shared_matrices();
  if (with_barrier) __syncthreads();
  WarpgroupSums sums = {};
  begin_products(sums);
  Bfloat::multiply_group<false, false>(sums, shared_matrix(a, 0, 1024), shared_matrix(b, 0, 1024));
  commit_products();
  if (with_finish) wait_for_products<0>(sums);
  result[thread] = 1;
  for (int j = 0; j < 16; ++j) {
    for (int part = 0; part < 4; ++part) {
      const int row = lane / 4 + 8 * (part / 2), column = 8 * j + 2 * (lane % 4) + part % 2;
      if (sums[j][part] != number_of_b(column, row)) result[thread] = 0;
    }
  }
}

// The copy unit brings eight lines of 64 numbers, of which each thread looks at the four in its place.
__global__ void mapped_kernel(const __grid_constant__ TensorMap map, int expected_bytes, bool reads_early, bool waits,
                              int* result) {
  const Shared<std::uint16_t> box = dynamic_shared<std::uint16_t>();
  const Shared<PhaseBarrier> come = shared_cast<PhaseBarrier>(box + box_numbers);
  const int thread = static_cast<int>(threadIdx.x);
  if (thread == 0) {
    set_up(come, 1);
    fence_phase_barriers();
  }
  __syncthreads();
  if (thread == 0) {
    arrive_and_expect(come, expected_bytes);
    copy_lines_async(box, map, come, 0, 0, 0, 0);
  }
  if (waits && !reads_early) wait_for_phase(come, 0);
  result[thread] = 1;
  for (int number = 4 * thread; number < 4 * thread + 4; ++number) {
    const int place = number ^ number / 64 * octet;  // octets are permuted
    if (box[place] != number) result[thread] = 0;
  }
  if (waits && reads_early) wait_for_phase(come, 0);
}

__global__ void shared_overrun_kernel(int* result) {
  DIP_SHARED_ARRAY(int, numbers, threads);
  result[threadIdx.x] = numbers[threadIdx.x + 1];
}

__global__ void divergent_kernel() {
  if (threadIdx.x < threads / 2) __syncthreads();
}

__global__ void overrun_kernel(int* result) {
  result[threadIdx.x + 1] = 0;
}

}  // namespace

bool run_planted_fault(const std::string& name) {
  DeviceScratch<int> result(threads);
  if (name == "divergent_barrier") {
    launch(divergent_kernel, 1u, static_cast<unsigned>(threads));
    return true;
  }
  if (name == "out_of_bounds") {
    launch(overrun_kernel, 1u, static_cast<unsigned>(threads), result.data());
    return true;
  }
  if (name == "too_many_threads") {
    launch(overrun_kernel, 1u, 1025u, result.data());
    return true;
  }
  if (name == "shared_out_of_bounds") {
    launch(shared_overrun_kernel, 1u, static_cast<unsigned>(threads), result.data());
    return true;
  }
  std::vector<int> got(threads), expected(threads);
  if (name == "missing_wait") {
    DeviceScratch<float> numbers(threads);
    std::vector<float> host(threads);
    std::iota(host.begin(), host.end(), 0.0f);
    copy_to_device(numbers.data(), host.data(), threads * sizeof(float));
    launch(copy_kernel, 1u, static_cast<unsigned>(threads), numbers.data(), result.data());
    expected.assign(threads, 1);
  } else if (name.rfind("warpgroup", 0) == 0) {
    launch(warpgroup_kernel, Grid{}, static_cast<unsigned>(threads), std::size_t{(64 + 128) * 128},
           name != "warpgroup_without_fence", name != "warpgroup_without_barrier", name != "warpgroup_without_finish",
           result.data());
    expected.assign(threads, 1);
  } else if (name.rfind("mapped", 0) == 0) {
    DeviceScratch<std::uint16_t> numbers(box_numbers);
    std::vector<std::uint16_t> host(box_numbers);
    std::iota(host.begin(), host.end(), std::uint16_t{0});
    copy_to_device(numbers.data(), host.data(), box_numbers * sizeof(std::uint16_t));
    launch(mapped_kernel, Grid{}, static_cast<unsigned>(threads),
           box_numbers * sizeof(std::uint16_t) + sizeof(PhaseBarrier), map_lines(numbers.data(), {64, 8, 1, 1}, 1, 8),
           name == "mapped_expecting_more" ? 1025 : 1024, name == "mapped_read_early", name != "mapped_unfinished",
           result.data());
    expected.assign(threads, 1);
  } else {
    check(name == "none" || name == "missing_barrier", "run_planted_fault: there is no fault \"", name, "\"");
    launch(rotate_kernel, 1u, static_cast<unsigned>(threads), name == "none", result.data());
    for (int i = 0; i < threads; ++i) expected[i] = (i + 1) % threads;
  }
  copy_to_host(got.data(), result.data(), threads * sizeof(int));
  return got == expected;
}

}  // namespace dip::cuda
