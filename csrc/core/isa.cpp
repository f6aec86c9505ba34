#include "core/isa.h"

#include <atomic>
#include <cstdlib>

#include "core/check.h"

namespace dip::cpu {
namespace {

constexpr const char* names[] = {"baseline", "avx2", "avx512"};

Isa detect() {
#if defined(__x86_64__)
  __builtin_cpu_init();  // reads CPUID and, through XGETBV, what the operating system saves
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (avx2 && avx512) return Isa::avx512;
  if (avx2) return Isa::avx2;
#endif
  return Isa::baseline;
}

Isa parse(const std::string& name, const char* source) {
  for (int i = 0; i <= static_cast<int>(detect()); ++i) {
    if (name == names[i]) return static_cast<Isa>(i);
  }
  std::string available;
  for (const std::string& each : available_isas()) available += (available.empty() ? "" : ", ") + each;
  throw ValueError(
      message(source, " must be one of the instruction sets of this machine (", available, "), got '", name, "'"));
}

std::atomic<Isa>& current() {
  static std::atomic<Isa> isa = [] {
    const char* cap = std::getenv("DIPKERNELS_ISA");
    return cap && *cap ? parse(cap, "environment variable DIPKERNELS_ISA") : detect();
  }();
  return isa;
}

}  // namespace

Isa active_isa() {
  return current().load(std::memory_order_relaxed);
}

std::string isa_name() {
  return names[static_cast<int>(active_isa())];
}

std::vector<std::string> available_isas() {
  return std::vector<std::string>(names, names + static_cast<int>(detect()) + 1);
}

void set_isa(const std::string& name) {
  current() = parse(name, "set_isa: name");
}

}  // namespace dip::cpu
