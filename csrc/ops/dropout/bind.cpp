// dropout: arguments are checked here, once, for every backend.
#include "ops/dropout/dropout.h"

#include <cmath>

#include "bind/arguments.h"
#include "bind/families.h"

namespace dip {
namespace dropout_functions {

py::object run(py::object op_, py::object name_, py::object x_, py::object p_, py::object seed, py::object offset,
               py::object device_offset_, py::object out) {
  const std::string op = string_of(op_), name = string_of(name_);
  const Arguments args(op.c_str());
  const double p = args.real(p_, "p");
  check(p >= 0.0 && p <= 1.0, args.op(), ": p must be from 0 to 1, got ", p);
  Array x = args.input(x_, name.c_str(), "*");
  Result y = args.output(out, "out", x.shape());
  args.check_apart(y, x, name.c_str(), true);
  Array device_offset = args.optional_input(device_offset_, "device_offset", "*", DType::int64);
  if (device_offset.given()) args.check_shape(device_offset, "device_offset", {1});
  const Dropout dropout{args.natural(seed, "seed"), args.natural(offset, "offset"), device_offset.data<std::int64_t>(),
                        static_cast<std::uint64_t>(std::llround(p * 4294967296.0)),
                        p < 1.0 ? static_cast<float>(1.0 / (1.0 - p)) : 0.0f};
  compute(backend::dropout, dropout, x.count(), x, y);
  return y.object();
}

}  // namespace dropout_functions

void bind_dropout(py::module_& m) {
  using namespace dropout_functions;
  using py::arg;
  m.def("dropout", run, arg("op"), arg("name"), arg("x"), arg("p"), arg("seed"), arg("offset"), arg("device_offset"),
        arg("out"));
}

}  // namespace dip
