// Values that come from outside are checked before an operator may rely on them. On the CPU the error is raised at
// once; on the GPU by the next operator, transfer or synchronisation that sees it, and kernels stay inside their arrays
// whatever the values are.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/reals.h"

namespace dip::DIP_BACKEND {

// What to say of values[position]. Called after the operator's arguments are gone: capture by value.
using Describe = std::function<std::string(std::int64_t position, double value)>;

// IndexError unless all indices are in [first, limit).
void check_indices(const std::int32_t* indices, std::int64_t count, std::int64_t first, std::int64_t limit,
                   Describe describe);

// IndexError unless all indices are in [0, limit) or are `except`.
void check_labels(const std::int64_t* labels, std::int64_t count, std::int64_t limit, std::int64_t except,
                  Describe describe);

// ValueError unless all values are finite and at least 0.
void check_proper(Reals values, std::int64_t count, Describe describe);

}  // namespace dip::DIP_BACKEND
