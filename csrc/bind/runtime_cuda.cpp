#include "bind/families.h"
#include "bind/runtime_device.h"

namespace dip {

void bind_runtime(pybind11::module_& m) {
  cuda::bind_device_runtime(m);
}

}  // namespace dip
