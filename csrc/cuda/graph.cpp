// Graphs through the CUDA runtime: what is captured, in which memory, and what runs beside it.
#include "cuda/graph.h"

#include <array>

#include "core/check.h"
#include "cuda/error.h"
#include "cuda/faults.h"

namespace dip::cuda {
namespace {

// The streams beside the captured one.
struct Branches {
  struct Side {
    cudaStream_t stream = nullptr;
    bool forked = false;  // since the branches were opened
  };

  ~Branches() {
    for (const Side& side : sides) {
      if (side.stream) cudaStreamDestroy(side.stream);
    }
  }

  std::array<Side, 2> sides;
  std::size_t next = 0;
  bool inside = false;  // a Beside
};

thread_local const Graph* captured_graph = nullptr;
thread_local std::shared_ptr<GraphMemory> captured_memory;
thread_local Branches* captured_branches = nullptr;
thread_local bool may_compute_weights_beside = false;

void close_branches() {
  captured_memory->close_branches();
  for (Branches::Side& side : captured_branches->sides) side.forked = false;
  captured_branches->inside = false;
}

}  // namespace

GraphMemory::~GraphMemory() {
  for (const Block& block : blocks_) cudaFree(block.data);
}

void* GraphMemory::take(std::size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (Block& block : blocks_) {
    if (block.use == Use::free && block.bytes == bytes) {
      block.use = Use::used;
      return block.data;
    }
  }
  void* data = nullptr;
  check_cuda(cudaMalloc(&data, bytes), "memory of a graph");
  blocks_.push_back({data, bytes, Use::used});
  return data;
}

void GraphMemory::give_back(void* data) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (Block& block : blocks_) {
    if (block.data == data) block.use = branches_are_open_ ? Use::given_back : Use::free;
  }
}

void GraphMemory::open_branches() {
  const std::lock_guard<std::mutex> lock(mutex_);
  branches_are_open_ = true;
}

void GraphMemory::close_branches() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (Block& block : blocks_) {
    if (block.use == Use::given_back) block.use = Use::free;
  }
  branches_are_open_ = false;
}

struct Graph::State {
  std::shared_ptr<GraphMemory> memory = std::make_shared<GraphMemory>();
  Branches branches;
  cudaStream_t stream = nullptr;
  cudaGraphExec_t executable = nullptr;
  Stream stream_before = nullptr;
  bool chosen_before = false;
  int device = 0;
  bool capturing = false;
};

bool is_capturing() {
  return captured_graph != nullptr;
}

const Graph* graph_of_capture() {
  return captured_graph;
}

const std::shared_ptr<GraphMemory>& memory_of_capture() {
  return captured_memory;
}

Graph::Graph() : state_(std::make_unique<State>()) {
  state_->device = current_device();
  check_cuda(cudaStreamCreateWithFlags(&state_->stream, cudaStreamNonBlocking), "the stream of a graph");
}

Graph::~Graph() {
  if (state_->capturing) cancel_capture();
  if (state_->executable) cudaGraphExecDestroy(state_->executable);
  cudaStreamDestroy(state_->stream);
  faults().forget_graph(this);
}

void Graph::begin_capture() {
  check<std::runtime_error>(!captured_graph, "Graph: another capture is under way in this thread");
  check<std::runtime_error>(!state_->executable, "Graph: it is captured already; make a new one");
  faults().make_room();  // waits, and allocates the first time, which a capture may not
  wait_for(state_->stream, current_stream());
  // Relaxed: memory for the graph is allocated while it is captured.
  check_cuda(cudaStreamBeginCapture(state_->stream, cudaStreamCaptureModeRelaxed), "capturing a graph");
  state_->stream_before = current_stream();
  state_->chosen_before = stream_is_chosen();
  choose_stream(state_->stream, true);
  captured_graph = this;
  captured_memory = state_->memory;
  captured_branches = &state_->branches;
  state_->capturing = true;
}

void Graph::end_capture() {
  check<std::runtime_error>(captured_graph == this, "Graph: there is no capture to end in this thread");
  join_branches();
  cudaGraph_t graph = nullptr;
  const cudaError_t error = cudaStreamEndCapture(state_->stream, &graph);
  captured_graph = nullptr;
  captured_branches = nullptr;
  captured_memory.reset();
  state_->capturing = false;
  choose_stream(state_->stream_before, state_->chosen_before);
  check_cuda(error, "capturing a graph");
  const cudaError_t instantiated = cudaGraphInstantiate(&state_->executable, graph, 0);
  cudaGraphDestroy(graph);
  check_cuda(instantiated, "instantiating a graph");
}

void Graph::cancel_capture() noexcept {
  if (!state_->capturing) return;
  cudaGraph_t graph = nullptr;
  cudaStreamEndCapture(state_->stream, &graph);
  if (graph) cudaGraphDestroy(graph);
  cudaGetLastError();
  close_branches();
  captured_graph = nullptr;
  captured_branches = nullptr;
  captured_memory.reset();
  state_->capturing = false;
  choose_stream(state_->stream_before, state_->chosen_before);
}

void Graph::replay() {
  check<std::runtime_error>(state_->executable, "Graph: capture something before replay()");
  check<std::runtime_error>(!captured_graph, "Graph: replay() inside a capture");
  raise_faults();
  check_cuda(cudaGraphLaunch(state_->executable, current_stream()), "replaying a graph");
}

void open_branches() {
  if (captured_branches) captured_memory->open_branches();
}

void join_branches() {
  if (!captured_branches || !captured_memory->branches_are_open()) return;
  for (const Branches::Side& side : captured_branches->sides) {
    if (side.forked) wait_for(current_stream(), side.stream);
  }
  close_branches();
}

void set_weights_beside(bool on) {
  may_compute_weights_beside = on;
}

Beside::Beside() {
  if (!may_compute_weights_beside || !captured_branches || captured_branches->inside) return;
  if (!captured_memory->branches_are_open()) return;
  Branches::Side& side = captured_branches->sides[captured_branches->next++ % captured_branches->sides.size()];
  if (!side.stream) {
    check_cuda(cudaStreamCreateWithFlags(&side.stream, cudaStreamNonBlocking), "a stream beside a captured one");
  }
  main_ = current_stream();
  wait_for(side.stream, main_);
  side.forked = captured_branches->inside = active_ = true;
  choose_stream(side.stream, true);
}

Beside::~Beside() {
  if (!active_) return;
  captured_branches->inside = false;
  choose_stream(main_, true);
}

}  // namespace dip::cuda
