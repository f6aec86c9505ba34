// Non-maximum suppression: arguments are checked here, once, for every backend.
#include "bind/arguments.h"
#include "bind/families.h"
#include "ops/nms/nms.h"

namespace dip {
namespace nms_functions {

py::object run(py::object op_, py::object boxes_, py::object scores_, py::object classes_, py::object threshold_) {
  const std::string op = string_of(op_);
  const Arguments args(op.c_str());
  Array boxes = args.input(boxes_, "boxes", "N4"), scores = args.input(scores_, "scores", "N");
  const std::int64_t count = boxes.extent(0);
  args.check_shape(boxes, "boxes", {count, 4});
  args.check_shape(scores, "scores", {count});
  const double threshold = args.real(threshold_, "iou_threshold");
  check(threshold >= 0.0 && threshold <= 1.0, args.op(), ": iou_threshold must be from 0 to 1, got ", threshold);
  check(count <= INT32_MAX, args.op(), ": boxes must be at most 2147483647, got ", count);
  Labels classes;
  if (!classes_.is_none()) {
    classes = args.labels(classes_, "classes", "N");
    args.check_shape(classes, "classes", {count});
  }
  Indices kept = args.new_indices({count});
  const std::int64_t found = count > 0 ? compute(backend::nms, count, threshold, boxes, scores, classes, kept) : 0;
  return py::make_tuple(kept.object(), found);
}

}  // namespace nms_functions

void bind_nms(py::module_& m) {
  using namespace nms_functions;
  using py::arg;
  m.def("nms", run, arg("op"), arg("boxes"), arg("scores"), arg("classes"), arg("iou_threshold"));
}

}  // namespace dip
