#include "core/families.h"
#include "core/runtime_device.h"

namespace dip {

void bind_runtime(pybind11::module_& m) {
  cuda::bind_device_runtime(m);
}

}  // namespace dip
