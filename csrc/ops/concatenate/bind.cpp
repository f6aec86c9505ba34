// Concatenation along the channels: arguments are checked here, once, for every backend.
#include <vector>

#include "bind/arguments.h"
#include "bind/families.h"
#include "ops/concatenate/concatenate.h"

namespace dip {
namespace concatenate_functions {

std::int64_t inner_of(const Shape& shape) {
  std::int64_t inner = 1;
  for (std::size_t axis = 2; axis < shape.size(); ++axis) inner *= shape[axis];
  return inner;
}

// What follows the channels, and precedes them.
bool same_but_channels(const Shape& a, const Shape& b) {
  Shape other = b;
  if (a.size() != b.size()) return false;
  other[1] = a[1];
  return other == a;
}

py::object concatenate(py::object inputs_, py::object out) {
  const Arguments args("concatenate");
  const py::list given_inputs = args.list(inputs_, "inputs");
  check(given_inputs.size() > 0, args.op(), ": inputs must be at least one array, got none");
  std::vector<Array> inputs;
  std::vector<std::string> names;
  Shape shape;
  for (std::size_t i = 0; i < given_inputs.size(); ++i) {
    names.push_back(message("inputs[", i, "]"));
    inputs.push_back(args.input(given_inputs[i], names[i].c_str(), "*"));
    const Shape& given = inputs[i].shape();
    check(given.size() >= 2, args.op(), ": ", names[i], " must have at least 2 dimensions (N, C, ...), got shape ",
          given);
    if (i == 0) {
      shape = given;
      continue;
    }
    check(same_but_channels(given, shape), args.op(), ": ", names[i],
          " may differ from inputs[0] only in its channels, got shape ", given, " and ", inputs[0].shape());
    shape[1] += given[1];
  }
  Result y = args.output(out, "out", shape);
  for (std::size_t i = 0; i < inputs.size(); ++i) args.check_apart(y, inputs[i], names[i].c_str());
  const std::int64_t inner = inner_of(shape), width = shape[1] * inner;
  std::int64_t start = 0;
  for (Array& input : inputs) {
    const std::int64_t length = input.extent(1) * inner;
    if (input.count() > 0) {
      compute(backend::copy_rows, backend::RowCopy{shape[0], length, length, width, 0, start}, input, y);
    }
    start += length;
  }
  return y.object();
}

py::object backward(py::object dy_, py::object channels_) {
  const Arguments args("concatenate_backward");
  const Shape channels = args.integers(channels_, "channels");
  Array dy = args.input(dy_, "dy", "*");
  const Shape& shape = dy.shape();
  check(shape.size() >= 2, args.op(), ": dy must have at least 2 dimensions (N, C, ...), got shape ", shape);
  std::int64_t sum = 0;
  for (std::int64_t count : channels) {
    check(count >= 0 && count <= shape[1], args.op(), ": channels must be from 0 to those of dy, ", shape[1], ", got ",
          channels);
    sum += count;
  }
  check(sum == shape[1] && !channels.empty(), args.op(), ": channels must add up to those of dy, ", shape[1], ", got ",
        channels);
  const std::int64_t inner = inner_of(shape), width = shape[1] * inner;
  std::int64_t start = 0;
  py::tuple results(channels.size());
  for (std::size_t i = 0; i < channels.size(); ++i) {
    Shape own = shape;
    own[1] = channels[i];
    Result dx = args.output(py::none(), "dx", own);
    const std::int64_t length = channels[i] * inner;
    if (dx.count() > 0) {
      compute(backend::copy_rows, backend::RowCopy{shape[0], length, width, length, start, 0}, dy, dx);
    }
    start += length;
    results[i] = dx.object();
  }
  return results;
}

}  // namespace concatenate_functions

void bind_concatenate(py::module_& m) {
  using namespace concatenate_functions;
  using py::arg;
  m.def("concatenate", concatenate, arg("inputs"), arg("out"));
  m.def("concatenate_backward", backward, arg("dy"), arg("channels"));
}

}  // namespace dip
