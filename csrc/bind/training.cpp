#include "cuda/training.h"
#include <pybind11/typing.h>

#include "bind/arguments.h"
#include "bind/runtime_device.h"
#include "cuda/copy_kernels.h"

namespace dip::cuda {
namespace {

py::object bind_add(py::object a_, py::object b_) {
  const Arguments args("add");
  Array a = args.input(a_, "a", "*"), b = args.input(b_, "b", "*");
  args.check_shape(b, "b", a.shape());
  Result y = args.output(py::none(), "y", a.shape());
  const Widened wide_a(a.reals(), a.count()), wide_b(b.reals(), b.count());
  in_float32(y.results(), y.count(), [&](float* sums) { add(y.count(), wide_a, wide_b, sums); });
  return y.object();
}

void bind_gather_rows(const py::typing::List<py::object>& sources, py::object order_, py::object position_,
                      const py::typing::List<py::object>& outs) {
  const Arguments args("gather_rows");
  Array order = args.input(order_, "order", "N", DType::int64),
        position = args.input(position_, "position", "B", DType::int64);
  args.check_shape(position, "position", {1});
  check(sources.size() == outs.size() && sources.size() <= most_gathered, args.op(),
        ": sources and outs must be as many,", " at most ", most_gathered, ", got ", sources.size(), " and ",
        outs.size());
  std::vector<GatheredRows> arrays;
  std::vector<Array> kept;
  std::int64_t rows = 0;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    Array source = args.input_of(sources[i], "sources", "*", {DType::float32, DType::int64});
    Array out = args.in_place(outs[i], "outs", source.dtype());
    check(!source.shape().empty() && !out.shape().empty(), args.op(), ": sources and outs must have rows");
    Shape expected = source.shape();
    if (i == 0) rows = out.extent(0);
    expected[0] = rows;
    args.check_shape(out, "outs", expected);
    arrays.push_back({static_cast<const std::uint32_t*>(source.stored()), source.extent(0),
                      rows > 0 ? out.bytes() / rows / 4 : 0, static_cast<std::uint32_t*>(out.stored())});
    kept.push_back(std::move(source));
    kept.push_back(std::move(out));
  }
  gather_rows(arrays.data(), static_cast<int>(arrays.size()), order.data<std::int64_t>(), order.count(),
              position.data<std::int64_t>(), rows);
}

void bind_finish_step(py::object loss_, py::object counts_, py::object logits_, py::object labels_, std::int64_t rows,
                      py::object totals_, py::object position_, py::object update_) {
  const Arguments args("finish_step");
  Array loss = args.input(loss_, "loss", "", DType::float64);
  Array counts = args.optional_input(counts_, "counts", "N");
  if (counts.given()) args.check_shape(counts, "counts", {rows});
  Array logits = args.optional_input(logits_, "logits", "NC");
  Array labels = args.optional_input(labels_, "labels", "N", DType::int64);
  Array totals = args.in_place(totals_, "totals", DType::float64);
  Array position = args.in_place(position_, "position", DType::int64),
        update = args.in_place(update_, "update", DType::int64);
  args.check_shape(totals, "totals", {2});
  args.check_shape(position, "position", {1});
  args.check_shape(update, "update", {1});
  check(logits.given() == labels.given(), args.op(), ": logits and labels go together");
  if (logits.given()) {
    check(logits.extent(1) >= 1, args.op(), ": logits must have at least one class, got shape ", logits.shape());
    args.check_shape(logits, "logits", {rows, logits.extent(1)});
    args.check_shape(labels, "labels", {rows});
  }
  const Widened wide_logits(logits.reals(), logits.count());
  finish_step(loss.data<double>(), counts.data<float>(), rows, logits.given() ? logits.extent(1) : 0, wide_logits,
              labels.data<std::int64_t>(), totals.data<double>(), position.data<std::int64_t>(),
              update.data<std::int64_t>());
}

}  // namespace

void bind_training(py::module_& m) {
  using py::arg;
  m.def("add", bind_add, arg("a"), arg("b"));
  m.def("gather_rows", bind_gather_rows, arg("sources"), arg("order"), arg("position"), arg("outs"));
  m.def("finish_step", bind_finish_step, arg("loss"), arg("counts"), arg("logits"), arg("labels"), arg("rows"),
        arg("totals"), arg("position"), arg("update"));
}

}  // namespace dip::cuda
