#include "cuda/emulation/counter.h"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <unordered_set>

namespace dip::emulation {

#if defined(DIP_COUNTERS)

namespace {

constexpr int lanes = 32;
constexpr std::uint64_t sector = 32, line = 128;

// What the lanes in `mask` ask for at once.
struct Request {
  const void* place = nullptr;
  Memory memory{};
  std::uint64_t bytes = 0;
  std::uint32_t mask = 0;
  std::array<std::uint64_t, lanes> addresses{};

  bool has(int lane) const { return (mask >> lane & 1) != 0; }
};

// What a thread did: it used memory, or, where there is no place, entered basic block `address` of the program.
struct Event {
  const void* place;
  std::uint64_t address;
  Memory memory;
  std::uint64_t bytes;
};

struct Lane {
  std::vector<Event> events;
  std::size_t next = 0;
  std::uint64_t block = 0;       // that it is in, as its events are gone through
  const void* loaded = nullptr;  // what it has just read from shared memory is still in a register

  bool is_done() const { return next == events.size(); }
  bool enters() const { return !is_done() && events[next].place == nullptr; }
};

using Warp = std::array<Lane, lanes>;

struct Total {
  std::uint64_t requests = 0, units = 0, least = 0, bytes = 0, lanes = 0;
};

struct Launches {
  std::uint64_t launches = 0, blocks = 0, threads = 0;
  std::unordered_set<std::uint64_t> sectors_read, sectors_written;
};

std::map<std::tuple<const void*, const void*, Memory>, Total> totals;
std::map<const void*, Launches> launches_of;
std::map<std::pair<const void*, std::string>, std::pair<std::uint64_t, std::uint64_t>> events_of;

const void* kernel = nullptr;  // that runs; null: nothing is counted
std::vector<Warp> warps;
std::vector<std::pair<std::uintptr_t, std::uintptr_t>> arrays;

bool is_shared(Memory memory) {
  return memory == Memory::shared_load || memory == Memory::shared_store || memory == Memory::shared_atomic;
}

template <class T>
std::uint64_t distinct(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values.size();
}

// Lanes go together as their numbers fill a line.
int lanes_together(const Request& request) {
  return request.bytes <= 4 ? lanes : static_cast<int>(line / request.bytes);
}

void count_sectors(const Request& request, Total& total) {
  const int together = lanes_together(request);
  Launches& launches = launches_of[kernel];
  auto& different = request.memory == Memory::global_store ? launches.sectors_written : launches.sectors_read;
  std::uint64_t all = 0, asked = 0;
  for (int start = 0; start < lanes; start += together) {
    std::vector<std::uint64_t> sectors, bytes;
    for (int lane = start; lane < start + together; ++lane) {
      if (!request.has(lane)) continue;
      const std::uint64_t first = request.addresses[lane], end = first + request.bytes;
      for (std::uint64_t at = first / sector; at * sector < end; ++at) sectors.push_back(at);
      for (std::uint64_t at = first; at < end; ++at) bytes.push_back(at);
      asked += request.bytes;
    }
    all += distinct(sectors);
    different.insert(sectors.begin(), sectors.end());
    total.bytes += distinct(bytes);
  }
  total.units += all;
  total.least += std::min(all, (asked + sector - 1) / sector);  // what lanes share counts for each, as Nsight has it
}

// Whether every lane of a part asks for the same as the one beside it, or as the one after that.
bool is_paired(const Request& request, int start, int end) {
  const auto all_equal = [&](int distance) {
    for (int lane = start; lane < end; ++lane) {
      const int other = lane ^ distance;
      const bool both = request.has(lane) && request.has(other);
      if (both && request.addresses[lane] != request.addresses[other]) return false;
    }
    return true;
  };
  return all_equal(1) || all_equal(2);
}

// The fullest of the 32 banks decides how often shared memory is gone to.
void count_part(const Request& request, int start, int end, Total& total) {
  std::vector<std::uint64_t> words;
  for (int lane = start; lane < end; ++lane) {
    if (!request.has(lane)) continue;
    const std::uint64_t first = request.addresses[lane], behind = first + request.bytes;
    for (std::uint64_t word = first / 4; word * 4 < behind; ++word) words.push_back(word);
    total.bytes += request.bytes;
  }
  if (words.empty()) return;
  const std::uint64_t count = distinct(words);
  std::array<std::uint64_t, 32> in_bank{};
  for (std::uint64_t word : words) ++in_bank[word % 32];
  total.units += *std::max_element(in_bank.begin(), in_bank.end());
  total.least += (count + 31) / 32;
}

// Of wide accesses twice as many lanes go together where pairs of them ask for the same.
void count_wavefronts(const Request& request, Total& total) {
  const int together = lanes_together(request);
  if (together == lanes) return count_part(request, 0, lanes, total);
  for (int start = 0; start < lanes; start += 2 * together) {
    if (is_paired(request, start, start + 2 * together)) {
      count_part(request, start, start + 2 * together, total);
    } else {
      count_part(request, start, start + together, total);
      count_part(request, start + together, start + 2 * together, total);
    }
  }
}

void count(const Request& request) {
  Total& total = totals[{kernel, request.place, request.memory}];
  ++total.requests;
  total.lanes += static_cast<std::uint64_t>(__builtin_popcount(request.mask));
  is_shared(request.memory) ? count_wavefronts(request, total) : count_sectors(request, total);
}

// Accesses of shared memory side by side that all lanes make one after the other, nvcc makes one of.
bool can_join(const Request& one, const Request& next) {
  const bool alike = one.memory == next.memory && one.mask == next.mask && one.bytes == next.bytes;
  if (!alike || one.place == next.place || one.bytes < 4 || one.bytes > 8) return false;
  for (int lane = 0; lane < lanes; ++lane) {
    if (!one.has(lane)) continue;
    const std::uint64_t first = one.addresses[lane];
    if (next.addresses[lane] != first + one.bytes || first % (2 * one.bytes) != 0) return false;
  }
  return true;
}

class Requests {
 public:
  void add(const Request& request) {
    if (request.mask == 0) return;  // all lanes were switched off
    if (!is_shared(request.memory)) return count(request);
    list_[static_cast<int>(request.memory)].push_back(request);
  }
  ~Requests() {
    for (std::vector<Request>& list : list_) {
      for (int round = 0; round < 2; ++round) join(list);
      for (const Request& request : list) count(request);
    }
  }

 private:
  static void join(std::vector<Request>& list) {
    std::vector<Request> joined;
    for (std::size_t i = 0; i < list.size(); ++i) {
      joined.push_back(list[i]);
      if (i + 1 == list.size() || !can_join(list[i], list[i + 1])) continue;
      joined.back().bytes *= 2;
      ++i;
    }
    list.swap(joined);
  }

  std::array<std::vector<Request>, 5> list_;
};

// The lanes of `together` go through one basic block side by side.
void replay_block(Warp& warp, std::uint32_t together, Requests& requests) {
  for (;;) {
    Request request;
    for (int i = 0; i < lanes; ++i) {
      Lane& lane = warp[i];
      if ((together >> i & 1) == 0 || lane.is_done() || lane.enters()) continue;
      const Event& event = lane.events[lane.next];
      if (!request.place) {
        request.place = event.place;
        request.memory = event.memory;
        request.bytes = event.bytes;
      }
      if (event.place != request.place || event.memory != request.memory) continue;
      if (event.address) request.mask |= 1u << i;
      request.addresses[i] = event.address;
      ++lane.next;
    }
    if (!request.place) return;
    requests.add(request);
  }
}

// Goes through what the lanes of a warp did as the hardware would: those in the first basic block of the program go on,
// the others wait for them.
void replay(Warp& warp) {
  Requests requests;
  for (;;) {
    std::uint64_t first = UINT64_MAX;
    for (Lane& lane : warp) {
      if (lane.enters()) lane.block = lane.events[lane.next].address;
      if (!lane.is_done()) first = std::min(first, lane.block);
    }
    if (first == UINT64_MAX) break;
    std::uint32_t together = 0;
    for (int i = 0; i < lanes; ++i) {
      Lane& lane = warp[i];
      if (lane.is_done() || lane.block != first) continue;
      together |= 1u << i;
      if (lane.enters()) ++lane.next;
    }
    replay_block(warp, together, requests);
  }
  for (Lane& lane : warp) {
    lane.events.clear();
    lane.next = 0;
    lane.loaded = nullptr;
  }
}

Lane& running_lane() {
  const std::size_t thread = running_thread();
  return warps[thread / lanes][thread % lanes];
}

bool in_device_memory(const void* address) {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  static std::size_t last = 0;  // where the one before was
  if (last < arrays.size() && at >= arrays[last].first && at < arrays[last].second) return true;
  for (last = 0; last < arrays.size(); ++last) {
    if (at >= arrays[last].first && at < arrays[last].second) return true;
  }
  return false;
}

std::uint64_t offset_of(const void* place) {
  Dl_info info;
  if (!dladdr(reinterpret_cast<const void*>(&take_counts), &info)) return 0;
  return reinterpret_cast<std::uint64_t>(place) - reinterpret_cast<std::uint64_t>(info.dli_fbase);
}

}  // namespace

void count_access(Memory memory, const void* address, std::size_t bytes, const void* place) {
  if (!kernel) return;
  Lane& lane = running_lane();
  if (is_shared(memory)) {
    if (memory == Memory::shared_load && lane.loaded == address) return;
    lane.loaded = memory == Memory::shared_load ? address : nullptr;
  }
  lane.events.push_back({place, reinterpret_cast<std::uint64_t>(address), memory, bytes});
}

void count_access(Memory memory, const void* address, std::size_t bytes) {
  count_access(memory, address, bytes, __builtin_return_address(0));
}

void count_event(const char* what, std::uint64_t wavefronts) {
  if (!kernel) return;
  auto& [times, all] = events_of[{kernel, what}];
  ++times;
  all += wavefronts;
}

void copy_unseen(void* to, const void* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}

void begin_counting(const void* started, std::size_t blocks, std::size_t threads) {
  kernel = started;
  if (!started) return;
  arrays = device_memory();
  warps.assign((threads + lanes - 1) / lanes, Warp{});
  Launches& launches = launches_of[kernel];
  ++launches.launches;
  launches.blocks += blocks;
  launches.threads = threads;
}

void count_until_barrier(std::size_t first, std::size_t last) {
  if (!kernel) return;
  for (std::size_t warp = first / lanes; warp < (last + lanes - 1) / lanes; ++warp) replay(warps[warp]);
}

Counts take_counts() {
  Counts counts;
  for (const auto& [at, each] : launches_of) {
    counts.kernels.emplace_back(offset_of(at), each.launches, each.blocks, each.threads, each.sectors_read.size(),
                                each.sectors_written.size());
  }
  for (const auto& [key, total] : totals) {
    const auto& [of, place, memory] = key;
    counts.places.emplace_back(offset_of(of), offset_of(place), static_cast<int>(memory), total.requests, total.units,
                               total.least, total.bytes, total.lanes);
  }
  for (const auto& [key, each] : events_of) {
    counts.events.emplace_back(offset_of(key.first), key.second, each.first, each.second);
  }
  launches_of.clear();
  totals.clear();
  events_of.clear();
  return counts;
}

namespace {

void see(bool is_store, const void* address, std::size_t bytes, const void* place) {
  if (!kernel || in_own_stack(address)) return;
  if (in_shared_memory(address)) {
    count_access(is_store ? Memory::shared_store : Memory::shared_load, address, bytes, place);
  } else if (in_device_memory(address)) {
    count_access(is_store ? Memory::global_store : Memory::global_load, address, bytes, place);
  }
}

}  // namespace

#else

Counts take_counts() {
  return {};
}

#endif

}  // namespace dip::emulation

#if defined(DIP_COUNTERS)

// What clang calls: -fsanitize-coverage=trace-loads,trace-stores,trace-pc-guard.
#define DIP_HOOK __attribute__((visibility("default")))
#define DIP_HOOKS(bytes)                                                     \
  extern "C" DIP_HOOK void __sanitizer_cov_load##bytes(void* address) {      \
    dip::emulation::see(false, address, bytes, __builtin_return_address(0)); \
  }                                                                          \
  extern "C" DIP_HOOK void __sanitizer_cov_store##bytes(void* address) {     \
    dip::emulation::see(true, address, bytes, __builtin_return_address(0));  \
  }
DIP_HOOKS(1)
DIP_HOOKS(2)
DIP_HOOKS(4)
DIP_HOOKS(8)
DIP_HOOKS(16)

extern "C" DIP_HOOK void __sanitizer_cov_trace_pc_guard(std::uint32_t* number) {
  using namespace dip::emulation;
  if (kernel) running_lane().events.push_back({nullptr, *number, Memory::global_load, 0});
}

// Basic blocks get numbers in the order of the program.
extern "C" DIP_HOOK void __sanitizer_cov_trace_pc_guard_init(std::uint32_t* start, std::uint32_t* stop) {
  static std::uint32_t last = 0;
  if (start == stop || *start != 0) return;
  for (; start != stop; ++start) *start = ++last;
}

#endif
