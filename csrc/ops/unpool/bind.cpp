// Max unpooling (and the gradient of max pooling, which is the same scatter), nearest-neighbour and bed-of-nails
// upsampling: arguments are checked here, once, for every backend.
#include "bind/arguments.h"
#include "bind/families.h"
#include "core/geometry.h"
#include "core/indices.h"
#include "ops/pool/pool.h"
#include "ops/unpool/check_indices.h"
#include "ops/unpool/unpool.h"

namespace dip {

namespace {

// The elements of a channel; 0 where it has none, or more than an int32 index can name.
std::int64_t named_by_int32(const Shape& channel) {
  std::int64_t count = 1;
  for (std::int64_t extent : channel) {
    if (extent < 1 || extent > INT32_MAX || count * extent > INT32_MAX) return 0;
    count *= extent;
  }
  return count;
}

const char* kind_of(const Shape& channel) {
  return channel.size() == 2 ? "plane" : "volume";
}

// "2 x 3"
std::string extents(const Shape& channel) {
  std::string text;
  for (std::int64_t extent : channel) text += (text.empty() ? "" : " x ") + std::to_string(extent);
  return text;
}

}  // namespace

void check_channel_size(const Arguments& args, const Shape& channel) {
  check(named_by_int32(channel) > 0, args.op(), ": a ", kind_of(channel), " of ", extents(channel),
        " has more elements than its int32 indices can name (2147483647); split it");
}

backend::Describe describe_index(const Arguments& args, const Shape& shape, const Shape& size) {
  return [op = std::string(args.op()), shape, size](std::int64_t at, double value) {
    Shape position(shape.size());
    std::int64_t rest = at;
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      position[axis] = rest % shape[axis];
      rest /= shape[axis];
    }
    return message(op, ": indices", position, " is ", static_cast<std::int64_t>(value), ", outside the ", kind_of(size),
                   " of ", extents(size), ": it must be from 0 to ", named_by_int32(size) - 1);
  };
}

namespace unpool_functions {

// The elements of the large channel.
std::int64_t check_large(const Arguments& args, const Shape& size) {
  const std::int64_t count = named_by_int32(size);
  check(count > 0, args.op(), ": the large ", kind_of(size), " must have from 1 to 2147483647 elements, got ",
        extents(size));
  return count;
}

const char* layout_of(const Shape& channel) {
  return channel.size() == 2 ? "NCHW" : "NCDHW";
}

Shape channel_of(const Array& array) {
  return Shape(array.shape().begin() + 2, array.shape().end());
}

// Height and width of an image; a clip's rows are those of all its frames, one below the other.
Pair plane_of(const Shape& channel) {
  return channel.size() == 2 ? Pair{channel[0], channel[1]} : Pair{channel[0] * channel[1], channel[2]};
}

// Max unpooling of y and the gradient of max pooling to dy are the same: `name` is what each calls it.
py::object scatter(const std::string& op, const char* name, py::object x_, py::object indices_, const Shape& size,
                   py::object out) {
  const Arguments args(op.c_str());
  Array x = args.input(x_, name, layout_of(size));
  Indices indices = args.indices(indices_, "indices", layout_of(size), check_large(args, size));
  args.check_shape(indices, "indices", x.shape());
  Shape shape = {x.extent(0), x.extent(1)};
  shape.insert(shape.end(), size.begin(), size.end());
  Result y = args.output(out, "out", shape);
  args.check_apart(y, x, name);
  args.check_apart(y, indices, "indices");
  const std::int64_t channels = x.extent(0) * x.extent(1);
  if (channels > 0) {
    compute(backend::scatter_planes, channels, plane_of(channel_of(x)), plane_of(size), x, indices, y,
            describe_index(args, x.shape(), size));
  }
  return y.object();
}

// `axes`: of a channel, 2 or 3.
const char* axes_name(std::size_t axes) {
  return axes == 2 ? "2d" : "3d";
}

py::object max_unpool(py::object y, py::object indices, py::object size_, py::object out) {
  const Shape size = Arguments("max_unpool").integers(size_, "output_size");
  return scatter(message("max_unpool", axes_name(size.size())), "y", y, indices, size, out);
}

py::object max_pool_backward(py::object dy, py::object indices, py::object size_, py::object out) {
  const Shape size = Arguments("max_pool_backward").integers(size_, "input_size");
  return scatter(message("max_pool", axes_name(size.size()), "_backward"), "dy", dy, indices, size, out);
}

py::object max_unpool_backward(py::object dy_, py::object indices_, py::object axes_, py::object out) {
  const auto axes = static_cast<std::size_t>(Arguments("max_unpool_backward").natural(axes_, "axes"));
  const std::string op = message("max_unpool", axes_name(axes), "_backward");
  const Arguments args(op.c_str());
  const char* layout = axes == 2 ? "NCHW" : "NCDHW";
  Array dy = args.input(dy_, "dy", layout);
  const Shape size = channel_of(dy);
  const std::int64_t large = check_large(args, size);
  Indices indices = args.indices(indices_, "indices", layout, large);
  check(dy.extent(0) == indices.extent(0) && dy.extent(1) == indices.extent(1), args.op(),
        ": dy and indices must have the same N and C, got ", dy.shape(), " and ", indices.shape());
  const std::int64_t channels = dy.extent(0) * dy.extent(1);
  Result dx = args.output(out, "out", indices.shape());
  args.check_apart(dx, dy, "dy");
  args.check_apart(dx, indices, "indices");
  if (channels > 0) {
    compute(backend::gather_planes, channels, indices.count() / channels, large, dy, indices, dx,
            describe_index(args, indices.shape(), size));
  }
  return dx.object();
}

// From planes of x's size to planes of `size`, or backward from planes of dy's size to planes of `size`.
py::object nearest(py::object backward_, py::object x_, py::object size_, py::object out) {
  const bool backward = is_true(backward_);
  const Arguments args(backward ? "upsample_nearest2d_backward" : "upsample_nearest2d");
  const char* name = backward ? "dy" : "x";
  const Pair size = args.sizes<2>(size_, "size");
  Array x = args.input(x_, name, "NCHW");
  const Pair given = {x.extent(2), x.extent(3)};
  constexpr std::int64_t largest = std::int64_t{1} << 31;  // products of two of them stay in 64 bits
  for (int axis = 0; axis < 2; ++axis) {
    check(given[axis] >= 1, args.op(), ": ", name, " must have at least one row and column, got shape ", x.shape());
    check(size[axis] >= 1 && size[axis] < largest && given[axis] < largest, args.op(), ": ",
          backward ? "input_size" : "the result's size", " must be from 1 to 2147483647 along each axis, got (",
          size[0], ", ", size[1], ")");
  }
  Result y = args.output(out, "out", {x.extent(0), x.extent(1), size[0], size[1]});
  args.check_apart(y, x, name);
  const Pair small = backward ? size : given, large = backward ? given : size;
  const std::int64_t planes = x.extent(0) * x.extent(1);
  const backend::Nearest p{small[0], small[1], large[0], large[1]};
  const bool whole = large[0] % small[0] == 0 && large[1] % small[1] == 0;
  if (y.count() == 0) return y.object();
  if (backward && whole) {  // the sum of every block
    const auto axis = [&](int a) {
      const std::int64_t scale = large[a] / small[a];
      return Axis{large[a], scale, scale, 0, 0, 1, small[a]};
    };
    compute(backend::pool_forward, Pool{Window2d{axis(0), axis(1)}, Pooling::sum}, planes, x, y);
  } else {
    compute(backward ? backend::upsample_nearest2d_backward : backend::upsample_nearest2d, p, planes, x, y);
  }
  return y.object();
}

// Bed of nails and its gradient.
py::object nails(py::object backward_, py::object x_, py::object scale_, py::object offset_, py::object out) {
  const bool backward = is_true(backward_);
  const Arguments args(backward ? "bed_of_nails2d_backward" : "bed_of_nails2d");
  const char* name = backward ? "dy" : "x";
  const Pair scale = args.sizes<2>(scale_, "scale_factor"), offset = args.sizes<2>(offset_, "offset");
  Array x = args.input(x_, name, "NCHW");
  Shape shape = x.shape();
  for (int axis = 0; axis < 2; ++axis) {
    check(scale[axis] >= 1 && scale[axis] <= INT32_MAX, args.op(), ": scale_factor must be from 1 to 2147483647, got (",
          scale[0], ", ", scale[1], ")");
    check(offset[axis] >= 0 && offset[axis] < scale[axis], args.op(),
          ": offset must be from 0 to scale_factor - 1, got (", offset[0], ", ", offset[1], ")");
    check(x.extent(2 + axis) >= 1, args.op(), ": ", name, " must have at least one row and column, got shape ",
          x.shape());
    if (!backward) {
      check(!__builtin_mul_overflow(shape[2 + axis], scale[axis], &shape[2 + axis]), args.op(),
            ": scale_factor is too large, got (", scale[0], ", ", scale[1], ")");
      continue;
    }
    check(x.extent(2 + axis) % scale[axis] == 0, args.op(), ": scale_factor (", scale[0], ", ", scale[1],
          ") must divide height and width of dy, got shape ", x.shape());
    shape[2 + axis] /= scale[axis];
  }
  Result y = args.output(out, "out", shape);
  args.check_apart(y, x, name);
  const Shape& small = backward ? shape : x.shape();
  const backend::Nails p{small[2], small[3], scale[0], scale[1], offset[0], offset[1]};
  if (y.count() > 0) {
    compute(backward ? backend::bed_of_nails2d_backward : backend::bed_of_nails2d, p, shape[0] * shape[1], x, y);
  }
  return y.object();
}

}  // namespace unpool_functions

void bind_unpool(py::module_& m) {
  using namespace unpool_functions;
  using py::arg;
  m.def("max_unpool", max_unpool, arg("y"), arg("indices"), arg("size"), arg("out"));
  m.def("max_pool_backward", max_pool_backward, arg("dy"), arg("indices"), arg("input_size"), arg("out"));
  m.def("max_unpool_backward", max_unpool_backward, arg("dy"), arg("indices"), arg("axes"), arg("out"));
  m.def("upsample_nearest2d", nearest, arg("backward"), arg("x"), arg("size"), arg("out"));
  m.def("bed_of_nails2d", nails, arg("backward"), arg("x"), arg("scale_factor"), arg("offset"), arg("out"));
}

}  // namespace dip
