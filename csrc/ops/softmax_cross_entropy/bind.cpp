// cross_entropy, focal_loss, nll_loss and automated_focal_loss: arguments are checked here, once, for every backend.
#include <cmath>

#include "bind/arguments.h"
#include "bind/families.h"
#include "core/indices.h"
#include "ops/losses/reduction.h"
#include "ops/softmax_cross_entropy/softmax_cross_entropy.h"

namespace dip {
namespace softmax_cross_entropy_functions {

py::object run(py::object op_, py::object logits_, py::object target_, py::object weight_, py::object ignore_index_,
               py::object reduction_, py::object label_smoothing_, py::object gamma_, py::object running_,
               py::object momentum_, py::object want_gradient_, py::object out) {
  const std::string op = string_of(op_);
  const Arguments args(op.c_str());
  const bool want_gradient = is_true(want_gradient_);
  const double momentum = args.real(momentum_, "momentum");
  check(momentum >= 0.0 && momentum <= 1.0, args.op(), ": momentum must be from 0 to 1, got ", momentum);
  const std::int64_t ignore_index = args.integer(ignore_index_, "ignore_index");
  const double label_smoothing = args.real(label_smoothing_, "label_smoothing"), gamma = args.real(gamma_, "gamma");
  const Reduction reduction = make_reduction(args.op(), args.text(reduction_, "reduction"));
  const bool takes_logarithms = op == "nll_loss";
  const char* name = takes_logarithms ? "log_probabilities" : "logits";
  Array logits = args.input(logits_, name, "*");
  const Shape& shape = logits.shape();
  check(shape.size() >= 2 && shape[1] >= 1 && shape[1] <= INT32_MAX, args.op(), ": ", name,
        " must have shape (N, C) or (N, C, ...) with at least one class, got ", shape);
  check(label_smoothing >= 0.0 && label_smoothing <= 1.0, args.op(), ": label_smoothing must be from 0 to 1, got ",
        label_smoothing);
  check(gamma >= 0.0 && std::isfinite(gamma), args.op(), ": gamma must be finite and at least 0, got ", gamma);
  const bool may_be_dense = op == "cross_entropy";
  Array target = may_be_dense ? args.labels_or_reals(target_, "target", "*") : args.labels(target_, "target", "*");
  const bool labelled = target.dtype() != DType::float32;
  check(labelled || ignore_index == -100, args.op(),
        ": ignore_index is for class indices, and target is float32 distributions, got ", ignore_index);
  Array weight = args.optional_input(weight_, "weight", "C");
  if (weight.given()) args.check_shape(weight, "weight", {shape[1]});

  Shape positions = shape;
  positions.erase(positions.begin() + 1);
  SoftmaxCrossEntropy p;
  p.outer = shape[0];
  p.classes = shape[1];
  p.inner = 1;
  for (std::size_t axis = 2; axis < shape.size(); ++axis) p.inner *= shape[axis];
  args.check_shape(target, labelled ? "target (class indices)" : "target (distributions)",
                   labelled ? positions : shape);
  p.labels = labelled ? target.data<std::int64_t>() : nullptr;
  p.ignore_index = ignore_index;
  p.smoothing = static_cast<float>(label_smoothing);
  p.gamma = static_cast<float>(gamma);
  p.takes_logarithms = takes_logarithms;
  p.reduction = reduction;

  Result losses, gradient;
  if (reduction == Reduction::none) losses = args.output(py::none(), "losses", positions);
  if (want_gradient) {
    gradient = args.output(out, "out", shape);
    args.check_apart(gradient, logits, name, !takes_logarithms);
    args.check_apart(gradient, target, "target");
    args.check_apart(gradient, weight, "weight");
  }
  if (weight.given()) {
    const auto describe = [op](std::int64_t position, double got) {
      return message(op, ": weight[", position, "] must be finite and at least 0, got ", got);
    };
    compute(backend::check_proper, weight, weight.count(), describe);
  }
  Array distribution;
  if (!labelled) {
    const auto describe = [op](std::int64_t position, double got) {
      return message(op, ": target.flat[", position, "] must be a finite probability of at least 0, got ", got);
    };
    compute(backend::check_proper, target, target.count(), describe);
    distribution = target;
  }
  const auto describe = [op, classes = p.classes, ignore_index](std::int64_t position, double got) {
    return message(op, ": target.flat[", position, "] is ", static_cast<std::int64_t>(got),
                   "; a class index must be from 0 to ", classes - 1, ", or ignore_index (", ignore_index, ")");
  };
  Number value = args.number();
  const bool updates = op == "automated_focal_loss_with_grad";
  if (updates || op == "automated_focal_loss") {
    Array running = args.in_place(running_, "running");
    args.check_shape(running, "running", {1});
    args.check_apart(running, logits, name);
    args.check_apart(running, weight, "weight");
    compute(backend::automated_focal_loss, p, momentum, updates, logits, weight, running.data<float>(), losses,
            gradient, value, describe);
  } else {
    compute(backend::softmax_cross_entropy, p, logits, distribution, weight, losses, gradient, value, describe);
  }
  return py::make_tuple(reduction == Reduction::none ? losses.object() : value.object(),
                        want_gradient ? gradient.object() : py::none());
}

}  // namespace softmax_cross_entropy_functions

void bind_softmax_cross_entropy(py::module_& m) {
  using namespace softmax_cross_entropy_functions;
  using py::arg;
  m.def("softmax_cross_entropy", run, arg("op"), arg("logits"), arg("target"), arg("weight"), arg("ignore_index"),
        arg("reduction"), arg("label_smoothing"), arg("gamma"), arg("running"), arg("momentum"), arg("want_gradient"),
        arg("out"));
}

}  // namespace dip
