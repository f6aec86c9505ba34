#include "cpu/parallel.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/interruption.h"
#include "cpu/isa.h"

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

constexpr std::int64_t most_indices = 0xffffffff;

// Every thread begins with a share of its own, the same in every job of so many indices: what it has written in one
// operator it finds in its cache in the next. Then it helps the others. Nobody waits for a worker that has not begun:
// where other programs keep the cores busy, the caller does what is left itself.
class Pool {
 public:
  // With fewer threads where the system starts no more.
  explicit Pool(int threads) : shares_(static_cast<std::size_t>(threads)) {
    workers_.reserve(shares_.size());
    try {
      for (int i = 1; i < threads; ++i) {
        workers_.emplace_back([this, i] { work(i); });
      }
    } catch (const std::exception&) {  // a limit of processes or of memory
    }
    threads_ = 1 + static_cast<int>(workers_.size());
  }

  ~Pool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  int threads() const { return threads_; }

  // count <= most_indices. Throws what a task threw, the first of them, or an interruption, when all have ended.
  void run(std::int64_t count, Task task, const void* context) {
    task_ = task;
    context_ = context;
    count_ = count;
    done_.store(0, std::memory_order_relaxed);
    const std::uint32_t job = job_.load(std::memory_order_relaxed) + 1;
    for (int i = 0; i < threads(); ++i) {
      shares_[i].open.store(std::uint64_t{job} << 32 | static_cast<std::uint64_t>(begin_of(i + 1) - begin_of(i)));
    }
    job_.store(job);
    if (sleeping_.load() > 0) {
      {
        std::lock_guard<std::mutex> lock(mutex_);
      }  // who is about to sleep has either seen the job or waits by now
      wake_.notify_all();
    }
    take(0);
    for (int spins = 0; done_.load(std::memory_order_acquire) < count; ++spins) {
      if (spins < spins_before_sleep) {
        relax();
      } else {
        std::this_thread::yield();
        look_for_interruption();
      }
    }
    if (failed_.load(std::memory_order_acquire)) {
      failed_ = false;
      std::rethrow_exception(std::exchange(error_, nullptr));
    }
  }

 private:
  // What is left of a thread's share of the current job: the job's number in the upper half, in the lower how many
  // indices nobody has taken.
  struct alignas(64) Share {
    std::atomic<std::uint64_t> open{0};
  };

  static std::uint64_t left(std::uint64_t open) { return open & most_indices; }

  std::int64_t begin_of(int share) const {
    // Without the product of the two, which may be too large.
    return count_ / threads() * share + count_ % threads() * share / threads();
  }

  // Takes all it can get, its own share first.
  void take(int self) {
    for (int i = 0; i < threads(); ++i) {
      const int share = self + i < threads() ? self + i : self + i - threads();
      std::atomic<std::uint64_t>& place = shares_[share].open;
      std::uint64_t open = place.load(std::memory_order_acquire);
      while (left(open) > 0) {
        // Who takes an index keeps the job from ending, so its task can be read; the job's number keeps a late worker
        // from taking an index of a later job by mistake.
        if (!place.compare_exchange_weak(open, open - 1, std::memory_order_acq_rel, std::memory_order_acquire))
          continue;
        if (self == 0) look_for_interruption();
        try {
          // Nothing is begun any more once something has failed.
          if (!failed_.load(std::memory_order_relaxed)) {
            task_(context_, begin_of(share + 1) - static_cast<std::int64_t>(left(open)));
          }
        } catch (...) {
          keep_error();
        }
        done_.fetch_add(1, std::memory_order_release);
        open = place.load(std::memory_order_acquire);
      }
    }
  }

  void look_for_interruption() {
    try {
      check_interruption();
    } catch (...) {
      keep_error();
    }
  }

  void keep_error() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!error_) error_ = std::current_exception();
    failed_.store(true, std::memory_order_release);
  }

  void work(int self) {
    for (std::uint32_t seen = 0;;) {
      for (int spins = 0; job_.load(std::memory_order_acquire) == seen && !stop_; ++spins) {
        if (spins < spins_before_sleep) {
          relax();
          continue;
        }
        std::unique_lock<std::mutex> lock(mutex_);
        ++sleeping_;
        wake_.wait(lock, [&] { return job_.load() != seen || stop_; });
        --sleeping_;
        spins = 0;
      }
      if (stop_) return;
      seen = job_.load(std::memory_order_acquire);
      take(self);
    }
  }

  std::vector<Share> shares_;
  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<std::uint32_t> job_{0};
  std::atomic<std::int64_t> done_{0};
  std::atomic<int> sleeping_{0};
  std::atomic<bool> stop_{false};
  std::atomic<bool> failed_{false};
  std::exception_ptr error_;
  int threads_ = 1;
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
  std::atomic<int> threads{default_threads()};  // may be set while operators run
  Pool* pool = nullptr;
};

State* state = nullptr;
std::mutex* creation = new std::mutex;

// The threads of the parent do not exist in a forked child, and its locks may be held for ever: the child leaves
// them behind and builds a pool of its own when it first needs one.
void abandon_in_child() {
  const int threads = state ? state->threads.load() : 0;
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

struct Inside {
  Inside() { inside = true; }
  ~Inside() { inside = false; }
};

}  // namespace

int num_threads() {
  return get_state().threads;
}

void stop_threads() {
  State& s = get_state();
  const std::lock_guard<std::mutex> lock(s.busy);
  delete s.pool;
  s.pool = nullptr;
}

void set_num_threads(std::int64_t count) {
  check(count >= 1 && count <= 256, "set_num_threads: count must be from 1 to 256, got ", count);
  stop_threads();
  get_state().threads = static_cast<int>(count);
}

int started_threads() {
  State& s = get_state();
  const std::lock_guard<std::mutex> lock(s.busy);
  return s.pool ? s.pool->threads() : s.threads.load();
}

void run_parallel(std::int64_t count, Task task, const void* context) {
  active_isa();  // a wrong DIPKERNELS_ISA is an error here, where the caller sees it, and not in a thread
  State& s = get_state();
  if (count > 1 && count <= most_indices && s.threads > 1 && !inside) {
    std::unique_lock<std::mutex> lock(s.busy, std::try_to_lock);
    if (lock.owns_lock()) {
      if (!s.pool) s.pool = new Pool(s.threads);
      const Inside mark;
      return s.pool->run(count, task, context);
    }
  }
  for (std::int64_t i = 0; i < count; ++i) {
    check_interruption();
    task(context, i);
  }
}

}  // namespace dip::cpu
