// Pooling of regions of interest: arguments are checked here, once, for every backend.
#include <cmath>

#include "bind/arguments.h"
#include "bind/families.h"
#include "core/geometry.h"
#include "core/indices.h"
#include "ops/roi/roi.h"
#include "ops/unpool/check_indices.h"

namespace dip {
namespace roi_functions {

// What all four take besides their arrays; `shape` is that of the maps, and `name` the argument it comes from.
Roi make_roi(const Arguments& args, const char* name, const Shape& shape, Pair output_size, py::handle scale) {
  Roi p;
  p.N = shape[0];
  p.C = shape[1];
  p.H = shape[2];
  p.W = shape[3];
  p.bins_h = output_size[0];
  p.bins_w = output_size[1];
  p.scale = args.real(scale, "spatial_scale");
  constexpr std::int64_t most = 1 << 15;
  check(p.N >= 0 && p.C >= 0 && p.H >= 1 && p.W >= 1, args.op(), ": ", name,
        " must have shape (N, C, H, W) with at least one row and column, got ", shape);
  check(p.bins_h >= 1 && p.bins_w >= 1 && p.bins_h <= most && p.bins_w <= most, args.op(),
        ": output_size must be from 1 to ", most, " along each axis, got (", p.bins_h, ", ", p.bins_w, ")");
  check(p.scale > 0.0 && std::isfinite(p.scale), args.op(), ": spatial_scale must be positive and finite, got ",
        p.scale);
  return p;
}

void set_samples(const Arguments& args, Roi& p, py::handle sampling_ratio, py::handle aligned) {
  p.samples = args.integer(sampling_ratio, "sampling_ratio");
  check(p.samples >= 1 && p.samples <= 64, args.op(), ": sampling_ratio must be from 1 to 64, got ", p.samples);
  p.half_a_pixel = args.flag(aligned, "aligned");
}

struct Regions {
  Array boxes;
  Labels images;
};

// Boxes, and the checked number of the image each is on.
Regions take_regions(const Arguments& args, Roi& p, py::handle boxes, py::handle batch) {
  Regions regions{args.input(boxes, "boxes", "K4"), args.labels(batch, "batch", "K")};
  p.K = regions.boxes.extent(0);
  args.check_shape(regions.boxes, "boxes", {p.K, 4});
  args.check_shape(regions.images, "batch", {p.K});
  const auto describe = [op = std::string(args.op()), N = p.N](std::int64_t position, double got) {
    return message(op, ": batch[", position, "] is ", static_cast<std::int64_t>(got),
                   "; the number of an image must be from 0 to ", N - 1);
  };
  compute(backend::check_labels, regions.images, p.K, p.N, std::int64_t{0}, describe);
  return regions;
}

Shape result_shape(const Roi& p) {
  return {p.K, p.C, p.bins_h, p.bins_w};
}

py::object pool(py::object x_, py::object boxes, py::object batch, py::object output_size, py::object spatial_scale,
                py::object out) {
  const Arguments args("roi_pool");
  Array x = args.input(x_, "x", "NCHW");
  Roi p = make_roi(args, "x", x.shape(), args.sizes<2>(output_size, "output_size"), spatial_scale);
  check_channel_size(args, {p.H, p.W});
  Regions regions = take_regions(args, p, boxes, batch);
  Result y = args.output(out, "out", result_shape(p));
  Indices indices = args.new_indices(result_shape(p));
  args.check_apart(y, x, "x");
  args.check_apart(y, regions.boxes, "boxes");
  if (y.count() > 0) compute(backend::roi_pool, p, x, regions.boxes, regions.images, y, indices);
  return py::make_tuple(y.object(), indices.object());
}

py::object pool_backward(py::object dy_, py::object boxes, py::object batch, py::object indices_, py::object input_size,
                         py::object spatial_scale, py::object out) {
  const Arguments args("roi_pool_backward");
  const Shape x_shape = args.integers(input_size, "input_size");
  Array dy = args.input(dy_, "dy", "KCHW");
  Roi p = make_roi(args, "input_size", x_shape, {dy.extent(2), dy.extent(3)}, spatial_scale);
  check_channel_size(args, {p.H, p.W});
  Regions regions = take_regions(args, p, boxes, batch);
  args.check_shape(dy, "dy", result_shape(p));
  Indices indices = args.indices(indices_, "indices", "KCHW", p.H * p.W, -1);
  args.check_shape(indices, "indices", dy.shape());
  Result dx = args.output(out, "out", x_shape);
  args.check_apart(dx, dy, "dy");
  args.check_apart(dx, regions.boxes, "boxes");
  args.check_apart(dx, indices, "indices");
  const auto describe = [op = std::string(args.op()), size = p.H * p.W](std::int64_t at, double got) {
    return message(op, ": indices.flat[", at, "] is ", static_cast<std::int64_t>(got), ": it must be from -1 to ",
                   size - 1);
  };
  compute(backend::check_indices, indices, indices.count(), std::int64_t{-1}, p.H * p.W, describe);
  if (dx.count() > 0) compute(backend::roi_pool_backward, p, dy, regions.boxes, regions.images, indices, dx);
  return dx.object();
}

py::object align(py::object x_, py::object boxes, py::object batch, py::object output_size, py::object spatial_scale,
                 py::object sampling_ratio, py::object aligned, py::object out) {
  const Arguments args("roi_align");
  Array x = args.input(x_, "x", "NCHW");
  Roi p = make_roi(args, "x", x.shape(), args.sizes<2>(output_size, "output_size"), spatial_scale);
  set_samples(args, p, sampling_ratio, aligned);
  Regions regions = take_regions(args, p, boxes, batch);
  Result y = args.output(out, "out", result_shape(p));
  args.check_apart(y, x, "x");
  args.check_apart(y, regions.boxes, "boxes");
  if (y.count() > 0) compute(backend::roi_align, p, x, regions.boxes, regions.images, y);
  return y.object();
}

py::object align_backward(py::object dy_, py::object boxes, py::object batch, py::object input_size,
                          py::object spatial_scale, py::object sampling_ratio, py::object aligned, py::object out) {
  const Arguments args("roi_align_backward");
  const Shape x_shape = args.integers(input_size, "input_size");
  Array dy = args.input(dy_, "dy", "KCHW");
  Roi p = make_roi(args, "input_size", x_shape, {dy.extent(2), dy.extent(3)}, spatial_scale);
  set_samples(args, p, sampling_ratio, aligned);
  Regions regions = take_regions(args, p, boxes, batch);
  args.check_shape(dy, "dy", result_shape(p));
  Result dx = args.output(out, "out", x_shape);
  args.check_apart(dx, dy, "dy");
  args.check_apart(dx, regions.boxes, "boxes");
  if (dx.count() > 0) compute(backend::roi_align_backward, p, dy, regions.boxes, regions.images, dx);
  return dx.object();
}

}  // namespace roi_functions

void bind_roi(py::module_& m) {
  using namespace roi_functions;
  using py::arg;
  m.def("roi_pool", pool, arg("x"), arg("boxes"), arg("batch"), arg("output_size"), arg("spatial_scale"), arg("out"));
  m.def("roi_pool_backward", pool_backward, arg("dy"), arg("boxes"), arg("batch"), arg("indices"), arg("input_size"),
        arg("spatial_scale"), arg("out"));
  m.def("roi_align", align, arg("x"), arg("boxes"), arg("batch"), arg("output_size"), arg("spatial_scale"),
        arg("sampling_ratio"), arg("aligned"), arg("out"));
  m.def("roi_align_backward", align_backward, arg("dy"), arg("boxes"), arg("batch"), arg("input_size"),
        arg("spatial_scale"), arg("sampling_ratio"), arg("aligned"), arg("out"));
}

}  // namespace dip
