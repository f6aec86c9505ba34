// Kernels with planted faults: the tests of the tester.
#pragma once

#include <string>

namespace dip::cuda {

// Runs the kernel with the fault `name`: "missing_barrier", "missing_wait", "divergent_barrier", "out_of_bounds",
// "shared_out_of_bounds", "too_many_threads" or "none". True where its result is the right one.
bool run_planted_fault(const std::string& name);

}  // namespace dip::cuda
