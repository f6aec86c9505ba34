#include "cuda/faults.h"

#include "core/check.h"

namespace dip::cuda {

FaultList::FaultList(Fault* records, void (*wait_for_all)())
    : records_(records), wait_for_all_(wait_for_all), entries_(capacity) {
  for (int i = 0; i < capacity; ++i) records_[i] = {-1, 0.0, 0};
}

Fault* FaultList::watch(RaiseFault raise, const Graph* graph) {
  const std::lock_guard<std::mutex> lock(mutex_);
  int i = find_free();
  if (i < 0 && !graph) {  // a thousand checks since the list was empty
    forget_passed();
    i = find_free();
  }
  check<std::runtime_error>(i >= 0, "there are too many captured or failed checks of indices; call synchronize()");
  entries_[i] = {std::move(raise), graph, ++issued_};
  next_ = (i + 1) % capacity;
  return &records_[i];
}

void FaultList::make_room() {
  const std::lock_guard<std::mutex> lock(mutex_);
  int used = 0;
  for (const Entry& entry : entries_) used += entry.raise != nullptr;
  if (used > capacity / 4) forget_passed();
}

void FaultList::raise_first() {
  RaiseFault raise;
  Fault found{};
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    int first = -1;
    for (int i = 0; i < capacity; ++i) {
      if (!entries_[i].raise || static_cast<volatile Fault&>(records_[i]).position < 0) continue;
      if (first < 0 || entries_[i].issued < entries_[first].issued) first = i;
    }
    if (first < 0) return;
    raise = entries_[first].raise;
    found = records_[first];
    // Later failures follow from the first, or come again when their operators do.
    for (int i = 0; i < capacity; ++i) {
      if (entries_[i].raise && records_[i].position >= 0) clear(i);
    }
  }
  raise(found.position, found.value);
}

void FaultList::forget_graph(const Graph* graph) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (Entry& entry : entries_) {
    if (entry.graph == graph) entry.graph = nullptr;
  }
}

void FaultList::forget_passed() {
  wait_for_all_();
  for (int i = 0; i < capacity; ++i) {
    if (!entries_[i].graph && records_[i].position < 0) clear(i);
  }
}

// A graph's check goes on watching.
void FaultList::clear(int i) {
  records_[i] = {-1, 0.0, 0};
  if (!entries_[i].graph) entries_[i] = {};
}

int FaultList::find_free() const {
  for (int n = 0; n < capacity; ++n) {
    const int i = (next_ + n) % capacity;
    if (!entries_[i].raise) return i;
  }
  return -1;
}

}  // namespace dip::cuda
