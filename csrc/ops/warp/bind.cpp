// Warping: arguments are checked here, once, for every backend.
#include "bind/arguments.h"
#include "bind/families.h"
#include "core/geometry.h"
#include "ops/warp/warp.h"

namespace dip {
namespace warp_functions {

Interpolation make_interpolation(const Arguments& args, py::handle object) {
  const std::string text = args.text(object, "interpolation");
  if (text == "nearest") return Interpolation::nearest;
  if (text == "bilinear") return Interpolation::bilinear;
  check(text == "bicubic", args.op(), ": interpolation must be nearest, bilinear or bicubic, got '", text, "'");
  return Interpolation::bicubic;
}

Warp make_warp(const Arguments& args, Array& x, Array& flow, py::handle interpolation) {
  check(flow.extent(0) == x.extent(0) && flow.extent(1) == 2, args.op(), ": flow must have shape (", x.extent(0),
        ", 2, H, W), with x's N, got ", flow.shape());
  check(x.count() == 0 || x.extent(2) <= INT32_MAX / x.extent(3), args.op(), ": a plane of x must have at most ",
        INT32_MAX, " elements, got ", x.extent(2), " x ", x.extent(3));
  return {x.extent(0),
          x.extent(1),
          x.extent(2),
          x.extent(3),
          flow.extent(2),
          flow.extent(3),
          make_interpolation(args, interpolation)};
}

py::object forward(py::object x_, py::object flow_, py::object interpolation, py::object out) {
  const Arguments args("warp");
  Array x = args.input(x_, "x", "NCHW"), flow = args.input(flow_, "flow", "N2HW");
  const Warp p = make_warp(args, x, flow, interpolation);
  Result y = args.output(out, "out", {p.N, p.C, p.out_h, p.out_w});
  args.check_apart(y, x, "x");
  args.check_apart(y, flow, "flow");
  if (y.count() > 0) compute(backend::warp, p, x, flow, y);
  return y.object();
}

py::object backward(py::object dy_, py::object x_, py::object flow_, py::object interpolation) {
  const Arguments args("warp_backward");
  Array dy = args.input(dy_, "dy", "NCHW"), x = args.input(x_, "x", "NCHW"), flow = args.input(flow_, "flow", "N2HW");
  const Warp p = make_warp(args, x, flow, interpolation);
  args.check_shape(dy, "dy", {p.N, p.C, p.out_h, p.out_w});
  Result dx = args.output(py::none(), "dx", x.shape()), dflow = args.output(py::none(), "dflow", flow.shape());
  if (dx.count() > 0) compute(backend::warp_backward_data, p, dy, flow, dx);
  if (dflow.count() > 0) compute(backend::warp_backward_flow, p, dy, x, flow, dflow);
  return py::make_tuple(dx.object(), dflow.object());
}

py::object make_affine_flow(py::object matrices_, py::object size_, py::object out) {
  const Arguments args("affine_flow");
  const Pair size = args.sizes<2>(size_, "size");
  Array matrices = args.input(matrices_, "matrices", "N23");
  args.check_shape(matrices, "matrices", {matrices.extent(0), 2, 3});
  constexpr std::int64_t largest = std::int64_t{1} << 31;
  check(size[0] >= 0 && size[1] >= 0 && size[0] < largest && size[1] < largest, args.op(),
        ": size must be from 0 to 2147483647 along each axis, got (", size[0], ", ", size[1], ")");
  Result flow = args.output(out, "out", {matrices.extent(0), 2, size[0], size[1]});
  args.check_apart(flow, matrices, "matrices");
  const AffineFlow p{matrices.extent(0), size[0], size[1]};
  if (flow.count() > 0) compute(backend::affine_flow, p, matrices, flow);
  return flow.object();
}

py::object affine_flow_backward(py::object dflow_, py::object out) {
  const Arguments args("affine_flow_backward");
  Array dflow = args.input(dflow_, "dflow", "N2HW");
  check(dflow.extent(1) == 2, args.op(), ": dflow must have shape (N, 2, H, W), got ", dflow.shape());
  Result dmatrices = args.output(out, "out", {dflow.extent(0), 2, 3});
  args.check_apart(dmatrices, dflow, "dflow");
  compute(backend::affine_flow_backward, AffineFlow{dflow.extent(0), dflow.extent(2), dflow.extent(3)}, dflow,
          dmatrices);
  return dmatrices.object();
}

}  // namespace warp_functions

void bind_warp(py::module_& m) {
  using namespace warp_functions;
  using py::arg;
  m.def("warp", forward, arg("x"), arg("flow"), arg("interpolation"), arg("out"));
  m.def("warp_backward", backward, arg("dy"), arg("x"), arg("flow"), arg("interpolation"));
  m.def("affine_flow", make_affine_flow, arg("matrices"), arg("size"), arg("out"));
  m.def("affine_flow_backward", affine_flow_backward, arg("dflow"), arg("out"));
}

}  // namespace dip
