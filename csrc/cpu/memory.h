// Memory on the CPU: aligned to the cache line, and where it is large in huge pages, which spare the processor looking
// up where each of thousands of small ones lies.
#pragma once

#include <cstddef>

namespace dip::cpu {

// Throws std::bad_alloc. std::free() takes it back.
void* allocate(std::size_t bytes);

// Memory for a result. Fresh pages cost more than most kernels that write to them, so what is given back is kept, up to
// a sixteenth of what the process may have, and serves later results of about its size; where there is no more memory
// it is given up. Call both with Python's global lock held, which is all that protects them. Throws std::bad_alloc.
void* take_result_memory(std::size_t bytes);
void give_result_memory_back(void* memory);

// Frees all that is kept for results.
void free_kept_memory();

// The same, and what threads and the C library keep for themselves.
void free_all_memory();

}  // namespace dip::cpu
