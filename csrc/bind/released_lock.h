// Python's global lock, given up while a kernel runs.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>

namespace dip {

enum class Interruption {
  allowed,
  never,  // for what changes arrays in place and must not stop half-way
};

// Where the interpreter ends meanwhile, it ends a thread that asks for the lock again, a daemon thread say, by
// unwinding its stack. That must not be: the frames hold Python objects, which nobody may drop without the lock. Such a
// thread stops here until the process is gone. py::gil_scoped_release would abort the process.
class ReleasedLock {
 public:
  // RuntimeError in a signal's handler that interrupts another operator: they would share their scratch memory.
  explicit ReleasedLock(Interruption interruption = Interruption::allowed);
  ~ReleasedLock();
  ReleasedLock(const ReleasedLock&) = delete;
  ReleasedLock& operator=(const ReleasedLock&) = delete;

 private:
  friend void check_interruption();
  void look_for_signals();

  PyThreadState* state_;
  std::chrono::steady_clock::time_point looked_;
};

}  // namespace dip
