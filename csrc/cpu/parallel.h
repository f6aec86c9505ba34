// The only file that touches threads.
#pragma once

#include <algorithm>
#include <cstdint>

namespace dip::cpu {

int num_threads();
void set_num_threads(std::int64_t count);  // ValueError outside 1..256
int started_threads();                     // fewer than num_threads() where the system starts no more
void stop_threads();                       // and frees what they keep; the next operator starts them anew

using Task = void (*)(const void* context, std::int64_t index);
void run_parallel(std::int64_t count, Task task, const void* context);

inline std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// Calls body(i) once for each i in [0, count), on up to num_threads() threads. Which thread takes which index is
// left open, so bodies must write disjoint memory, and must not depend on the number of threads: that is what makes
// results the same bits for any number of threads. Nested calls and calls from a second Python thread while the pool
// is busy run on the calling thread alone. What a body throws, an allocation that fails, is thrown here when all
// bodies have ended, and no more begin; of several exceptions the first. Ctrl-C is looked for between bodies, so none
// should take longer than some hundredths of a second.
template <class Body>
void parallel_for(std::int64_t count, const Body& body) {
  run_parallel(
      count, [](const void* context, std::int64_t index) { (*static_cast<const Body*>(context))(index); }, &body);
}

// Splits [0, count) into ranges of `grain`, a size that must not depend on the number of threads.
template <class Body>
void parallel_ranges(std::int64_t count, std::int64_t grain, const Body& body) {
  parallel_for(divide_up(count, grain), [&](std::int64_t i) {
    const std::int64_t begin = i * grain;
    body(begin, begin + grain < count ? begin + grain : count);
  });
}

// Calls body(plane) for planes of `elements` each, several small ones a task.
template <class Body>
void parallel_planes(std::int64_t planes, std::int64_t elements, const Body& body) {
  parallel_ranges(planes, (1 << 14) / std::max<std::int64_t>(elements, 1) + 1,
                  [&](std::int64_t begin, std::int64_t end) {
                    for (std::int64_t plane = begin; plane < end; ++plane) body(plane);
                  });
}

// How many elements of a long array a task should take: about a sixteenth, so that threads share evenly and the
// hardware's prefetchers see long runs, but at least some microseconds' worth and at most some milliseconds'. A
// multiple of 4096.
inline std::int64_t element_grain(std::int64_t count) {
  const std::int64_t sixteenth = (count / 16 + 4095) / 4096 * 4096;
  return std::clamp<std::int64_t>(sixteenth, 1 << 14, 1 << 22);
}

}  // namespace dip::cpu
