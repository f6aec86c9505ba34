// Python's global lock, given up while a kernel runs.
#pragma once

#include <pybind11/pybind11.h>

namespace dip {

// Where the interpreter ends meanwhile, it ends a thread that asks for the lock again, a daemon thread say, by
// unwinding its stack; py::gil_scoped_release would not let that pass and abort the process.
class ReleasedLock {
 public:
  ReleasedLock() : state_(PyEval_SaveThread()) {}
  ~ReleasedLock() noexcept(false) { PyEval_RestoreThread(state_); }
  ReleasedLock(const ReleasedLock&) = delete;
  ReleasedLock& operator=(const ReleasedLock&) = delete;

 private:
  PyThreadState* state_;
};

}  // namespace dip
