#include "bind/released_lock.h"

#include <cxxabi.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <exception>

#include "core/check.h"
#include "core/interruption.h"

namespace dip {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds between_looks{20};

// Signals are handled in Python's main thread, which on Linux is the process's first.
thread_local const bool is_main_thread = getpid() == syscall(SYS_gettid);

// The operator of the main thread that may be interrupted.
thread_local ReleasedLock* interruptible = nullptr;
thread_local bool in_handler = false;

}  // namespace

ReleasedLock::ReleasedLock(Interruption interruption) {
  check<std::runtime_error>(!in_handler, "an operator cannot run in the handler of a signal that came during another");
  if (is_main_thread && interruption == Interruption::allowed) {
    looked_ = {};  // counted from the first look: most operators have none, and asking for the time takes its own
    interruptible = this;
  }
  state_ = PyEval_SaveThread();
}

ReleasedLock::~ReleasedLock() {
  if (interruptible == this) interruptible = nullptr;
  try {
    PyEval_RestoreThread(state_);
  } catch (abi::__forced_unwind&) {
    for (;;) pause();
  }
}

void ReleasedLock::look_for_signals() {
  const steady_clock::time_point now = steady_clock::now();
  if (looked_ == steady_clock::time_point{}) looked_ = now;
  if (now - looked_ < between_looks) return;
  PyEval_RestoreThread(state_);
  std::exception_ptr raised;
  in_handler = true;
  if (PyErr_CheckSignals() != 0) raised = std::make_exception_ptr(pybind11::error_already_set());
  in_handler = false;
  looked_ = steady_clock::now();
  state_ = PyEval_SaveThread();
  if (raised) std::rethrow_exception(raised);
}

void check_interruption() {
  if (interruptible) interruptible->look_for_signals();
}

}  // namespace dip
