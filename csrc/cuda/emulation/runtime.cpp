// The GPU where there is none: its memory is the host's, kept apart in a register, its streams do everything at once,
// and a graph is a list of closures.
#include "cuda/runtime.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/interruption.h"
#include "cuda/emulation/device.h"
#include "cuda/faults.h"

namespace dip::cuda {

struct GraphMemory {
  std::vector<void*> blocks;
  ~GraphMemory();
};

struct Graph::State {
  std::shared_ptr<GraphMemory> memory = std::make_shared<GraphMemory>();
  std::vector<std::function<void()>> work, beside;  // what is beside is done as late as it may be
  bool capturing = false;
};

namespace {

thread_local const Graph* captured_graph = nullptr;
thread_local std::vector<std::function<void()>>* recording = nullptr;
thread_local std::vector<std::function<void()>>* recording_beside = nullptr;
thread_local std::vector<std::function<void()>>* recording_main = nullptr;  // within a Beside
thread_local std::shared_ptr<GraphMemory> captured_memory;
thread_local bool may_compute_weights_beside = false, branches_are_open = false;

std::mutex mutex;
std::map<const char*, std::size_t> memory_in_use;

void* take(std::size_t bytes) {
  void* data = nullptr;  // of a driver's alignment
  if (posix_memalign(&data, 512, bytes) != 0) throw std::bad_alloc();
  std::memset(data, 0xff, bytes);
  const std::lock_guard<std::mutex> lock(mutex);
  memory_in_use[static_cast<const char*>(data)] = bytes;
  return data;
}

void give_back(void* data) {
  const std::lock_guard<std::mutex> lock(mutex);
  memory_in_use.erase(static_cast<const char*>(data));
  std::free(data);
}

FaultList& faults() {
  static Fault records[FaultList::capacity];
  static FaultList list(records, [] {});
  return list;
}

void refuse_in_capture(const char* what) {
  check<std::runtime_error>(!captured_graph, what, ": a graph is being captured, and this makes the host wait");
}

void end_recording() {
  captured_graph = nullptr;
  recording = recording_beside = nullptr;
  branches_are_open = false;
  captured_memory.reset();
}

}  // namespace

GraphMemory::~GraphMemory() {
  for (void* block : blocks) give_back(block);
}

int device_count() {
  return 1;
}

void check_device(int device) {
  check(device == 0, "device must be from 0 to 0, got ", device);
}

int current_device() {
  return 0;
}

void set_device(int device) {
  check_device(device);
}

int device_of(const void* data) {
  const std::lock_guard<std::mutex> lock(mutex);
  const char* address = static_cast<const char*>(data);
  auto block = memory_in_use.upper_bound(address);
  const bool found = block != memory_in_use.begin() && (--block, address <= block->first + block->second);
  check(found, "the address is not in the memory of a GPU");
  return 0;
}

std::string device_name(int) {
  return "emulated on the host";
}

namespace {
int multiprocessors_of_device = 4;
}

int multiprocessors() {
  return multiprocessors_of_device;
}

bool has_tf32() {
  return true;
}

bool has_warpgroup_products() {
  return true;
}

int shared_bytes_a_block() {
  return 227 << 10;  // as Hopper has
}

bool is_capturing() {
  return captured_graph != nullptr;
}

void wait_for(Stream, Stream) {}

void synchronize() {
  refuse_in_capture("synchronize");
  raise_faults();
}

DeviceMemory::DeviceMemory(std::size_t bytes)
    : bytes_(bytes ? bytes : 1), device_(0), stream_(current_stream()), graph_(captured_memory) {
  data_ = take(bytes_);
  if (graph_) graph_->blocks.push_back(data_);
}

void DeviceMemory::use_in_current_stream() {
  if (captured_graph || stream_ == current_stream()) return;
  wait_for(current_stream(), stream_);
  stream_ = current_stream();
}

DeviceMemory::~DeviceMemory() {
  if (!graph_) give_back(data_);
}

void copy_to_device(void* to, const void* from, std::size_t bytes) {
  refuse_in_capture("copy to the GPU");
  if (bytes) std::memcpy(to, from, bytes);
}

void copy_to_host(void* to, const void* from, std::size_t bytes) {
  refuse_in_capture("copy to the host");
  if (bytes) std::memcpy(to, from, bytes);
  synchronize();
}

void copy_on_device(void* to, const void* from, std::size_t bytes) {
  if (bytes) emulation::submit([=] { std::memcpy(to, from, bytes); });
}

void fill_zero(void* to, std::size_t bytes) {
  if (bytes) emulation::submit([=] { std::memset(to, 0, bytes); });
}

Graph::Graph() : state_(std::make_unique<State>()) {}

Graph::~Graph() {
  cancel_capture();
  faults().forget_graph(this);
}

void Graph::begin_capture() {
  check<std::runtime_error>(!captured_graph, "Graph: another capture is under way in this thread");
  check<std::runtime_error>(state_->work.empty(), "Graph: it is captured already; make a new one");
  faults().make_room();
  captured_graph = this;
  recording = &state_->work;
  recording_beside = &state_->beside;
  captured_memory = state_->memory;
  state_->capturing = true;
}

void Graph::end_capture() {
  check<std::runtime_error>(captured_graph == this, "Graph: there is no capture to end in this thread");
  join_branches();
  end_recording();
  state_->capturing = false;
}

void Graph::cancel_capture() noexcept {
  if (!state_->capturing) return;
  end_recording();
  state_->capturing = false;
  state_->work.clear();
  state_->beside.clear();
}

void Graph::replay() {
  check<std::runtime_error>(!state_->work.empty() && !state_->capturing, "Graph: capture something before replay()");
  check<std::runtime_error>(!captured_graph, "Graph: replay() inside a capture");
  raise_faults();
  for (const std::function<void()>& work : state_->work) work();
}

void open_branches() {
  branches_are_open = captured_graph != nullptr;
}

void join_branches() {
  if (!branches_are_open) return;
  for (std::function<void()>& work : *recording_beside) recording->push_back(std::move(work));
  recording_beside->clear();
  branches_are_open = false;
}

void set_weights_beside(bool on) {
  may_compute_weights_beside = on;
}

// Within one, work is recorded in the other list.
Beside::Beside() {
  if (!may_compute_weights_beside || !branches_are_open || recording == recording_beside) return;
  recording_main = std::exchange(recording, recording_beside);
  active_ = true;
}

Beside::~Beside() {
  if (active_) recording = recording_main;
}

Fault* watch(RaiseFault raise) {
  return faults().watch(std::move(raise), captured_graph);
}

void raise_faults() {
  faults().raise_first();
}

}  // namespace dip::cuda

namespace dip::emulation {

namespace {
bool launches = true;
}

void set_launches(bool on) {
  launches = on;
}

void set_multiprocessors(int count) {
  cuda::multiprocessors_of_device = count;
}

std::vector<std::pair<std::uintptr_t, std::uintptr_t>> device_memory() {
  const std::lock_guard<std::mutex> lock(cuda::mutex);
  std::vector<std::pair<std::uintptr_t, std::uintptr_t>> ranges;
  for (const auto& [start, bytes] : cuda::memory_in_use) {
    const auto first = reinterpret_cast<std::uintptr_t>(start);
    ranges.emplace_back(first, first + bytes);
  }
  return ranges;
}

void submit(std::function<void()> work) {
  if (!launches) return;
  if (cuda::recording) {
    cuda::recording->push_back(std::move(work));
  } else {
    check_interruption();
    work();
  }
}

}  // namespace dip::emulation
