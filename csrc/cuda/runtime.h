// The GPU as the host sees it: devices, streams, memory, graphs and deferred errors. Implemented on the CUDA runtime
// (device_runtime.cpp) and, where there is no GPU, on the host's memory (cuda/emulation/runtime.cpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

struct CUstream_st;

namespace dip::cuda {

using Stream = CUstream_st*;  // a cudaStream_t; nullptr is the legacy default stream

// The number of usable GPUs: 0 where there is none, or no driver.
int device_count();

// Throws RuntimeError, saying what is missing, where there is no device of this number.
void check_device(int device);

int current_device();
void set_device(int device);

// The device that holds this address. Throws ValueError for memory that is no GPU's.
int device_of(const void* data);

std::string device_name(int device);

// Of the current device.
int multiprocessors();
bool has_tf32();
bool has_warpgroup_products();
int shared_bytes_a_block();

// The stream that the operators of this thread use. A chosen one stays; otherwise a library whose arrays come makes its
// own the current one.
Stream current_stream();
bool stream_is_chosen();
void set_current_stream(Stream stream);
void choose_stream(Stream stream, bool chosen);

// Streams as DLPack and the CUDA array interface number them: 1 is the legacy default stream.
Stream stream_of_number(std::int64_t number);
std::int64_t number_of(Stream stream);

// Whether this thread captures a graph.
bool is_capturing();

// Makes what `waiting` does from now on wait for what `awaited` was given so far. The host does not wait.
void wait_for(Stream waiting, Stream awaited);

// The host waits for the current stream; then errors that operators deferred are raised.
void synchronize();

struct GraphMemory;

// Memory on the current device. It is taken and given back in the order of the stream that is current here, so that
// giving it back does not wait for the kernels that still use it. While a graph is captured, it is the graph's.
class DeviceMemory {
 public:
  explicit DeviceMemory(std::size_t bytes);
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  ~DeviceMemory();

  void* data() const { return data_; }
  int device() const { return device_; }

  // To be called before work on this memory is given to the current stream: it waits for the stream that used it last.
  void use_in_current_stream();

 private:
  void* data_ = nullptr;
  std::size_t bytes_;
  int device_;
  Stream stream_;
  std::shared_ptr<GraphMemory> graph_;
};

// Copies in the order of the current stream. copy_to_host waits for the stream.
void copy_to_device(void* to, const void* from, std::size_t bytes);
void copy_to_host(void* to, const void* from, std::size_t bytes);
void copy_on_device(void* to, const void* from, std::size_t bytes);
void fill_zero(void* to, std::size_t bytes);

// A sequence of launches, recorded once and replayed as one.
class Graph {
 public:
  Graph();
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // Between the two, what this thread's operators launch is recorded and not run.
  void begin_capture();
  void end_capture();

  // What was recorded is dropped.
  void cancel_capture() noexcept;

  // Runs what was recorded, in the current stream.
  void replay();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Within a capture, between the two, what is launched while a Beside exists may run at the same time as all that is
// launched outside of one. Memory that is given back in between serves again only after join_branches(). Elsewhere they
// do nothing.
void open_branches();
void join_branches();

// Whether operators may compute gradients of weights beside the others: where nobody reads them before
// join_branches(). A Beside does nothing where they may not.
void set_weights_beside(bool on);

class Beside {
 public:
  Beside();
  ~Beside();
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;

 private:
  Stream main_ = nullptr;
  bool active_ = false;
};

// What a check of values on the GPU found. It cannot raise its error at once without making the host wait, so it leaves
// a Fault in memory that both can reach, and the next operator, transfer or synchronisation that sees it raises it.
struct Fault {
  long long position;  // −1: nothing
  double value;
  int lock;
};

using RaiseFault = std::function<void(std::int64_t position, double value)>;

// A place for what one check finds, and how to raise its error. Where a graph is captured, it serves every replay.
Fault* watch(RaiseFault raise);

// Raises the first deferred error that has come in. Cheap where there is none.
void raise_faults();

}  // namespace dip::cuda
