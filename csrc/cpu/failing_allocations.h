// For tests: an allocation that fails, whichever it is. In builds that test, all memory of the CPU backend asks here.
#pragma once

#include <cstdint>

namespace dip::cpu {

#if defined(DIP_FAILING_ALLOCATIONS)
// Makes the allocation after `count` others fail, once; −1: none.
void fail_allocation_after(std::int64_t count);
// Whether that allocation was reached.
bool allocation_failed();
// Throws std::bad_alloc where it is this one's turn.
void allocation_may_fail();
#else
inline void allocation_may_fail() {}
#endif

}  // namespace dip::cpu
