#include "cpu/isa.h"

#include <atomic>
#include <cstdlib>

#if defined(DIP_AMX)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "core/check.h"

namespace dip::cpu {
namespace {

constexpr const char* names[] = {"baseline", "avx2", "avx512", "avx512_bf16", "amx", "amx_emulated"};

#if defined(DIP_AMX)
// Whether the processor has AMX and AVX-512's conversion to bfloat16, the operating system saves AMX's registers, and
// lets this process use them.
bool has_amx() {
  unsigned a, b, c, d;
  constexpr unsigned tile = 1u << 24, bf16 = 1u << 22;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & tile) == 0 || (d & bf16) == 0) return false;
  if (!__builtin_cpu_supports("avx512bf16")) return false;
  unsigned low, high;
  asm("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  constexpr unsigned tile_state = 3u << 17;
  if ((low & tile_state) != tile_state) return false;
  constexpr long request_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}
#endif

std::vector<Isa> detect() {
  std::vector<Isa> found = {Isa::baseline};
#if defined(__x86_64__)
  __builtin_cpu_init();  // reads CPUID and, through XGETBV, what the operating system saves
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return found;
  found.push_back(Isa::avx2);
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) {
    return found;
  }
  found.push_back(Isa::avx512);
#if defined(DIP_AVX512_BF16)
  // Intel's take two of these instructions in the time of four float32 ones: nothing is won.
  if (__builtin_cpu_supports("avx512bf16") && __builtin_cpu_is("amd")) found.push_back(Isa::avx512_bf16);
#endif
#if defined(DIP_AMX)
  if (has_amx()) found.push_back(Isa::amx);
#endif
#endif
  return found;
}

const std::vector<Isa>& available() {
  static const std::vector<Isa> isas = detect();
  return isas;
}

Isa parse(const std::string& name, const char* source) {
#if defined(DIP_AMX_EMULATED)
  if (name == "amx_emulated" && __builtin_cpu_supports("avx512bf16")) return Isa::amx_emulated;
#endif
  for (Isa isa : available()) {
    if (name == names[static_cast<int>(isa)]) return isa;
  }
  std::string all;
  for (const std::string& each : available_isas()) all += (all.empty() ? "" : ", ") + each;
  throw ValueError(
      message(source, " must be one of the instruction sets of this machine (", all, "), got '", name, "'"));
}

// The best set of the machine up to that one, which the machine need not have.
Isa capped(const std::string& name) {
  Isa best = Isa::baseline;
  for (Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512, Isa::avx512_bf16, Isa::amx}) {
    for (Isa each : available()) best = each == isa ? isa : best;
    if (name == names[static_cast<int>(isa)]) return best;
  }
  return parse(name, "environment variable DIPKERNELS_ISA");
}

std::atomic<Isa>& current() {
  static std::atomic<Isa> isa = [] {
    const char* cap = std::getenv("DIPKERNELS_ISA");
    return cap && *cap ? capped(cap) : available().back();
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
  std::vector<std::string> all;
  for (Isa isa : available()) all.push_back(names[static_cast<int>(isa)]);
  return all;
}

void set_isa(const std::string& name) {
  current() = parse(name, "set_isa: name");
}

}  // namespace dip::cpu
