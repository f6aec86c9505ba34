#include "core/parallel.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include "core/check.h"
#include "core/isa.h"

namespace dip::cpu {
namespace {

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Workers spin briefly before they sleep: the kernels of a small network follow one another within microseconds, and
// waking a sleeping thread costs more than such a kernel.
constexpr int spins_before_sleep = 4000;

class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 1; i < threads; ++i) {
      workers_.emplace_back([this] { work(); });
    }
  }

  ~Pool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  void run(std::int64_t count, Task task, const void* context) {
    task_ = task;
    context_ = context;
    count_ = count;
    next_.store(0, std::memory_order_relaxed);
    running_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    take();
    for (int spins = 0; running_.load(std::memory_order_acquire) > 0; ++spins) {
      if (spins < spins_before_sleep) {
        relax();
      } else {
        std::this_thread::yield();
      }
    }
  }

 private:
  void take() {
    for (;;) {
      const std::int64_t index = next_.fetch_add(1, std::memory_order_relaxed);
      if (index >= count_) return;
      task_(context_, index);
    }
  }

  void work() {
    std::uint64_t seen = 0;
    for (;;) {
      for (int spins = 0; generation_.load(std::memory_order_acquire) == seen; ++spins) {
        if (spins < spins_before_sleep) {
          relax();
          continue;
        }
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_acquire) != seen; });
      }
      seen = generation_.load(std::memory_order_acquire);
      if (stop_) return;
      take();
      running_.fetch_sub(1, std::memory_order_acq_rel);
    }
  }

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<std::int64_t> next_{0};
  std::atomic<int> running_{0};
  bool stop_ = false;
  Task task_ = nullptr;
  const void* context_ = nullptr;
  std::int64_t count_ = 0;
};

int default_threads() {
  if (const char* text = std::getenv("DIPKERNELS_NUM_THREADS"); text && *text) {
    char* end = nullptr;
    const long count = std::strtol(text, &end, 10);
    check(*end == 0 && count >= 1 && count <= 256,
          "environment variable DIPKERNELS_NUM_THREADS must be a number from 1 to 256, got '", text, "'");
    return static_cast<int>(count);
  }
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return std::max(1, CPU_COUNT(&allowed));
  return std::max(1u, std::thread::hardware_concurrency());
}

struct State {
  std::mutex busy;
  int threads = default_threads();
  Pool* pool = nullptr;
};

State* state = nullptr;
std::mutex* creation = new std::mutex;

// The threads of the parent do not exist in a forked child, and its locks may be held for ever: the child leaves
// them behind and builds a pool of its own when it first needs one.
void abandon_in_child() {
  const int threads = state ? state->threads : 0;
  creation = new std::mutex;
  state = nullptr;
  if (threads) {
    state = new State;
    state->threads = threads;
  }
}

State& get_state() {
  std::lock_guard<std::mutex> lock(*creation);
  if (!state) {
    state = new State;
    static const int registered = pthread_atfork(nullptr, nullptr, abandon_in_child);
    (void)registered;
  }
  return *state;
}

thread_local bool inside = false;

}  // namespace

int num_threads() {
  return get_state().threads;
}

void set_num_threads(int count) {
  check(count >= 1 && count <= 256, "set_num_threads: count must be from 1 to 256, got ", count);
  State& s = get_state();
  std::lock_guard<std::mutex> lock(s.busy);
  delete s.pool;
  s.pool = nullptr;
  s.threads = count;
}

void run_parallel(std::int64_t count, Task task, const void* context) {
  active_isa();  // a wrong DIPKERNELS_ISA is an error here, where the caller sees it, and not in a thread
  State& s = get_state();
  if (count > 1 && s.threads > 1 && !inside) {
    std::unique_lock<std::mutex> lock(s.busy, std::try_to_lock);
    if (lock.owns_lock()) {
      if (!s.pool) s.pool = new Pool(s.threads);
      inside = true;
      s.pool->run(count, task, context);
      inside = false;
      return;
    }
  }
  for (std::int64_t i = 0; i < count; ++i) task(context, i);
}

}  // namespace dip::cpu
