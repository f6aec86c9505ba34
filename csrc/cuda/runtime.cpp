// The GPU through the CUDA runtime.
#include "cuda/runtime.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <vector>

#include "core/check.h"
#include "core/interruption.h"
#include "cuda/error.h"
#include "cuda/faults.h"
#include "cuda/graph.h"

namespace dip::cuda {

FaultList& faults() {
  // Never freed: kernels may still run when the interpreter ends.
  static FaultList* list = [] {
    void* records = nullptr;
    check_cuda(
        cudaHostAlloc(&records, FaultList::capacity * sizeof(Fault), cudaHostAllocPortable | cudaHostAllocMapped),
        "memory for deferred errors");
    return new FaultList(static_cast<Fault*>(records),
                         [] { check_cuda(cudaDeviceSynchronize(), "waiting for the GPU"); });
  }();
  return *list;
}

namespace {

std::atomic<bool> anything_watched{false};

void refuse_in_capture(const char* what) {
  check<std::runtime_error>(!is_capturing(), what, ": a graph is being captured, and this makes the host wait");
}

// Freed memory stays in the pool for the next operator.
void keep_pool(int device) {
  static std::mutex mutex;
  static std::vector<bool> done;
  const std::lock_guard<std::mutex> lock(mutex);
  if (static_cast<std::size_t>(device) < done.size() && done[device]) return;
  cudaMemPool_t pool = nullptr;
  check_cuda(cudaDeviceGetDefaultMemPool(&pool, device), "memory pool");
  std::uint64_t all = UINT64_MAX;
  check_cuda(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all), "memory pool");
  done.resize(std::max<std::size_t>(done.size(), device + 1));
  done[device] = true;
}

// Of the current device. Every launch asks for some, and CUDA would take a third of a microsecond for each.
int attribute(cudaDeviceAttr which) {
  static std::array<std::array<std::atomic<int>, cudaDevAttrMax>, 64> known{};  // 1 + each; 0: not asked for yet
  const int device = current_device();
  std::atomic<int>& kept = known[static_cast<std::size_t>(device) % known.size()][which];
  if (kept == 0) {
    int value = 0;
    check_cuda(cudaDeviceGetAttribute(&value, which, device), "looking for a GPU");
    kept = 1 + value;
  }
  return kept - 1;
}

// Small blocks of memory that serve again without asking CUDA, whose pool takes as long as a launch. Only those of the
// legacy default stream: it is never destroyed, and all that is done there comes one after the other.
class SmallBlocks {
 public:
  // All memory is taken so large that it could serve here: its stream may become the default one later.
  static std::size_t rounded(std::size_t bytes) {
    return bytes > largest ? bytes : (bytes + grain - 1) / grain * grain;
  }
  static bool serves(std::size_t bytes, Stream stream) { return bytes <= largest && stream == nullptr; }

  // Null where there is none.
  void* take(int device, std::size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<void*>& free = blocks(device)[bytes / grain];
    if (free.empty()) return nullptr;
    void* data = free.back();
    free.pop_back();
    return data;
  }

  // Gives all of a device back to CUDA; it must be the current one.
  void release(int device) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (std::vector<void*>& free : blocks(device)) {
      for (void* data : free) cudaFreeAsync(data, nullptr);
      free.clear();
    }
  }

  // False where enough are kept.
  bool keep(int device, std::size_t bytes, void* data) noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<void*>& free = blocks(device)[bytes / grain];
    if (free.size() == free.capacity()) return false;
    free.push_back(data);
    return true;
  }

 private:
  static constexpr std::size_t grain = 512, largest = 64 << 10, most_of_a_size = 16;

  std::vector<std::vector<void*>>& blocks(int device) {
    if (static_cast<std::size_t>(device) >= devices_.size()) devices_.resize(device + 1);
    std::vector<std::vector<void*>>& sizes = devices_[device];
    if (sizes.empty()) {
      sizes.resize(largest / grain + 1);
      for (std::vector<void*>& size : sizes) size.reserve(most_of_a_size);
    }
    return sizes;
  }

  std::mutex mutex_;
  std::vector<std::vector<std::vector<void*>>> devices_;  // [device][size]
};

SmallBlocks& small_blocks() {
  static SmallBlocks& blocks = *new SmallBlocks;  // never freed: arrays may go when the interpreter ends
  return blocks;
}

// Asks again and again, as cudaStreamSynchronize() does too, which would not let Ctrl-C through.
void wait_for_kernels() {
  cudaError_t state = cudaStreamQuery(current_stream());
  for (; state == cudaErrorNotReady; state = cudaStreamQuery(current_stream())) check_interruption();
  check_cuda(state, "waiting for the GPU");
}

}  // namespace

int device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();
  return 0;
}

void check_device(int device) {
  static std::atomic<int> found{0};  // asking takes longer than a small operator
  if (device >= 0 && device < found) return;
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  check_cuda(error == cudaSuccess && count == 0 ? cudaErrorNoDevice : error, "looking for a GPU");
  check(device >= 0 && device < count, "device must be from 0 to ", count - 1, ", got ", device);
  found = count;
}

int current_device() {
  int device = 0;
  check_cuda(cudaGetDevice(&device), "looking for a GPU");
  return device;
}

void set_device(int device) {
  check_device(device);
  check_cuda(cudaSetDevice(device), "choosing a GPU");
}

int device_of(const void* data) {
  cudaPointerAttributes attributes{};
  check_cuda(cudaPointerGetAttributes(&attributes, data), "looking up an address");
  check(attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged,
        "the address is not in the memory of a GPU");
  return attributes.device;
}

std::string device_name(int device) {
  cudaDeviceProp properties{};
  check_cuda(cudaGetDeviceProperties(&properties, device), "looking for a GPU");
  return message(properties.name, ", compute capability ", properties.major, ".", properties.minor);
}

int multiprocessors() {
  return attribute(cudaDevAttrMultiProcessorCount);
}

bool has_tf32() {
  return attribute(cudaDevAttrComputeCapabilityMajor) >= 8;
}

bool has_warpgroup_products() {
  // Code for 90a runs on no later GPU.
  static const bool built = std::string(DIP_CUDA_ARCHITECTURES).find("90a") != std::string::npos;
  return built && attribute(cudaDevAttrComputeCapabilityMajor) == 9 &&
         attribute(cudaDevAttrComputeCapabilityMinor) == 0;
}

int shared_bytes_a_block() {
  return attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
}

void wait_for(Stream waiting, Stream awaited) {
  if (waiting == awaited) return;
  cudaEvent_t event = nullptr;
  check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "ordering two streams");
  cudaError_t error = cudaEventRecord(event, awaited);
  if (error == cudaSuccess) error = cudaStreamWaitEvent(waiting, event);
  cudaEventDestroy(event);  // CUDA keeps it until it has happened
  check_cuda(error, "ordering two streams");
}

void synchronize() {
  refuse_in_capture("synchronize");
  wait_for_kernels();
  raise_faults();
}

DeviceMemory::DeviceMemory(std::size_t bytes)
    : bytes_(SmallBlocks::rounded(bytes ? bytes : 1)),
      device_(current_device()),
      stream_(current_stream()),
      graph_(memory_of_capture()) {
  if (graph_) {
    data_ = graph_->take(bytes_);
    return;
  }
  if (SmallBlocks::serves(bytes_, stream_)) {
    data_ = small_blocks().take(device_, bytes_);
    if (data_) return;
  }
  keep_pool(device_);
  cudaError_t error = cudaMallocAsync(&data_, bytes_, stream_);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    small_blocks().release(device_);
    error = cudaMallocAsync(&data_, bytes_, stream_);
  }
  check_cuda(error, "memory on the GPU");
}

void DeviceMemory::use_in_current_stream() {
  if (is_capturing() || stream_ == current_stream()) return;
  wait_for(current_stream(), stream_);
  stream_ = current_stream();
}

DeviceMemory::~DeviceMemory() {
  if (graph_) {
    graph_->give_back(data_);
    return;
  }
  if (SmallBlocks::serves(bytes_, stream_) && small_blocks().keep(device_, bytes_, data_)) return;
  // A destructor cannot raise; an error here comes back from the next call.
  int before = 0;
  cudaGetDevice(&before);
  if (before != device_) cudaSetDevice(device_);
  cudaFreeAsync(data_, stream_);
  if (before != device_) cudaSetDevice(before);
}

void copy_to_device(void* to, const void* from, std::size_t bytes) {
  refuse_in_capture("copy to the GPU");
  check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, current_stream()), "copy to the GPU");
}

void copy_to_host(void* to, const void* from, std::size_t bytes) {
  refuse_in_capture("copy to the host");
  wait_for_kernels();  // which the copy would do too, but not to be interrupted
  check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, current_stream()), "copy to the host");
  synchronize();
}

void copy_on_device(void* to, const void* from, std::size_t bytes) {
  check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, current_stream()), "copy on the GPU");
}

void fill_zero(void* to, std::size_t bytes) {
  check_cuda(cudaMemsetAsync(to, 0, bytes, current_stream()), "zeros on the GPU");
}

Fault* watch(RaiseFault raise) {
  anything_watched = true;
  return faults().watch(std::move(raise), graph_of_capture());
}

void raise_faults() {
  if (anything_watched) faults().raise_first();
}

}  // namespace dip::cuda
