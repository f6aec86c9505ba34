// Local response normalisation: arguments are checked here, once, for every backend.
#include <cmath>

#include "bind/arguments.h"
#include "bind/families.h"
#include "ops/local_response_norm/local_response_norm.h"

namespace dip {
namespace local_response_norm_functions {

struct Options {
  py::object size, alpha, beta, k;
};

LocalResponseNorm make_norm(const Arguments& args, const Shape& x, const Options& options) {
  check(x.size() >= 2, args.op(), ": x must have at least 2 dimensions (N, C, ...), got shape ", x);
  LocalResponseNorm p;
  p.N = x[0];
  p.C = x[1];
  p.inner = 1;
  for (std::size_t axis = 2; axis < x.size(); ++axis) p.inner *= x[axis];
  const std::int64_t size = args.integer(options.size, "size");
  check(size >= 1 && size < (std::int64_t{1} << 31), args.op(), ": size must be from 1 to 2147483647, got ", size);
  p.before = size / 2;
  p.after = (size - 1) / 2;
  const double alpha = args.real(options.alpha, "alpha"), beta = args.real(options.beta, "beta");
  const double k = args.real(options.k, "k");
  check(std::isfinite(alpha) && alpha >= 0.0, args.op(), ": alpha must be at least 0 and finite, got ", alpha);
  check(std::isfinite(beta) && beta >= 0.0, args.op(), ": beta must be at least 0 and finite, got ", beta);
  check(std::isfinite(k) && static_cast<float>(k) > 0.0f, args.op(), ": k must be above 0 and finite, got ", k);
  p.alpha_of_one = static_cast<float>(alpha / static_cast<double>(size));
  p.beta = static_cast<float>(beta);
  p.k = static_cast<float>(k);
  return p;
}

py::object forward(py::object x_, py::object size, py::object alpha, py::object beta, py::object k, py::object out) {
  const Arguments args("local_response_norm");
  Array x = args.input(x_, "x", "*");
  const LocalResponseNorm p = make_norm(args, x.shape(), {size, alpha, beta, k});
  Result y = args.output(out, "out", x.shape());
  args.check_apart(y, x, "x");
  if (y.count() > 0) compute(backend::local_response_norm, p, x, y);
  return y.object();
}

py::object backward(py::object dy_, py::object x_, py::object size, py::object alpha, py::object beta, py::object k,
                    py::object out) {
  const Arguments args("local_response_norm_backward");
  Array dy = args.input(dy_, "dy", "*"), x = args.input(x_, "x", "*");
  args.check_shape(dy, "dy", x.shape());
  const LocalResponseNorm p = make_norm(args, x.shape(), {size, alpha, beta, k});
  Result dx = args.output(out, "out", x.shape());
  args.check_apart(dx, dy, "dy");
  args.check_apart(dx, x, "x");
  if (dx.count() > 0) compute(backend::local_response_norm_backward, p, dy, x, dx);
  return dx.object();
}

}  // namespace local_response_norm_functions

void bind_local_response_norm(py::module_& m) {
  using namespace local_response_norm_functions;
  using py::arg;
  m.def("local_response_norm", forward, arg("x"), arg("size"), arg("alpha"), arg("beta"), arg("k"), arg("out"));
  m.def("local_response_norm_backward", backward, arg("dy"), arg("x"), arg("size"), arg("alpha"), arg("beta"), arg("k"),
        arg("out"));
}

}  // namespace dip
