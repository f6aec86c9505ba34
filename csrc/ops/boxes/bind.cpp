// Conversions and overlaps of boxes: arguments are checked here, once, for every backend.
#include "bind/arguments.h"
#include "bind/families.h"
#include "ops/boxes/boxes.h"

namespace dip {
namespace boxes_functions {

BoxFormat make_format(const Arguments& args, py::handle object, const char* name) {
  const std::string text = args.text(object, name);
  if (text == "xyxy") return BoxFormat::xyxy;
  if (text == "xywh") return BoxFormat::xywh;
  check(text == "cxcywh", args.op(), ": ", name, " must be xyxy, xywh or cxcywh, got '", text, "'");
  return BoxFormat::cxcywh;
}

py::object convert(py::object boxes_, py::object in_fmt, py::object out_fmt, py::object out) {
  const Arguments args("box_convert");
  Array boxes = args.input(boxes_, "boxes", "*");
  const Shape& shape = boxes.shape();
  check(!shape.empty() && shape.back() == 4, args.op(), ": boxes must have shape (..., 4), got ", shape);
  const BoxFormat in = make_format(args, in_fmt, "in_fmt"), to = make_format(args, out_fmt, "out_fmt");
  Result y = args.output(out, "out", shape);
  args.check_apart(y, boxes, "boxes");
  if (y.count() > 0) compute(backend::box_convert, in, to, y.count() / 4, boxes, y);
  return y.object();
}

py::object iou(py::object generalized_, py::object boxes1, py::object boxes2, py::object out) {
  const bool generalized = is_true(generalized_);
  const Arguments args(generalized ? "generalized_box_iou" : "box_iou");
  Array a = args.input(boxes1, "boxes1", "N4"), b = args.input(boxes2, "boxes2", "M4");
  args.check_shape(a, "boxes1", {a.extent(0), 4});
  args.check_shape(b, "boxes2", {b.extent(0), 4});
  Result y = args.output(out, "out", {a.extent(0), b.extent(0)});
  args.check_apart(y, a, "boxes1");
  args.check_apart(y, b, "boxes2");
  if (y.count() > 0) compute(backend::box_iou, generalized, a.extent(0), b.extent(0), a, b, y);
  return y.object();
}

}  // namespace boxes_functions

void bind_boxes(py::module_& m) {
  using namespace boxes_functions;
  using py::arg;
  m.def("box_convert", convert, arg("boxes"), arg("in_fmt"), arg("out_fmt"), arg("out"));
  m.def("box_iou", iou, arg("generalized"), arg("boxes1"), arg("boxes2"), arg("out"));
}

}  // namespace dip
