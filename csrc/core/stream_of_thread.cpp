// The same for the CUDA runtime and the emulation.
#include "core/device_runtime.h"

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

}  // namespace dip::cuda
