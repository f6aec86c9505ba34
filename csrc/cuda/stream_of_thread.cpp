// The same for the CUDA runtime and the emulation.
#include "cuda/runtime.h"

namespace dip::cuda {
namespace {

thread_local Stream current = nullptr;
thread_local bool is_chosen = false;

}  // namespace

Stream current_stream() {
  return current;
}

bool stream_is_chosen() {
  return is_chosen;
}

void set_current_stream(Stream stream) {
  current = stream;
}

void choose_stream(Stream stream, bool chosen) {
  current = stream;
  is_chosen = chosen;
}

Stream stream_of_number(std::int64_t number) {
  return number == 1 ? nullptr : reinterpret_cast<Stream>(static_cast<std::uintptr_t>(number));
}

std::int64_t number_of(Stream stream) {
  return stream ? static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(stream)) : 1;
}

}  // namespace dip::cuda
