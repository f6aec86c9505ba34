// Losses other than softmax cross-entropy: arguments are checked here, once, for every backend.
#include "ops/losses/losses.h"

#include <cmath>

#include "bind/arguments.h"
#include "bind/families.h"
#include "core/indices.h"
#include "ops/losses/reduction.h"

namespace dip {
namespace losses_functions {

double denominator_of(Reduction reduction, std::int64_t count) {
  return reduction == Reduction::mean ? static_cast<double>(count) : 1.0;
}

// 0 for the mean of nothing: an empty batch teaches nothing, though its loss is 0/0.
float gradient_scale(double denominator) {
  return denominator == 0.0 ? 0.0f : static_cast<float>(1.0 / denominator);
}

py::object elementwise(py::object op_, py::object kind_, py::object x_, py::object target_, py::object beta_,
                       py::object factor, py::object reduction_, py::object want_gradient_, py::object out) {
  const std::string op = string_of(op_), kind = string_of(kind_);
  const Arguments args(op.c_str());
  const bool want_gradient = is_true(want_gradient_);
  const bool huber = kind == "huber";
  const char* width = huber ? "delta" : "beta";
  const double beta = args.real(beta_, width);
  check(std::isfinite(beta) && (huber ? beta > 0.0 : beta >= 0.0), args.op(), ": ", width, " must be finite and ",
        huber ? "above 0" : "at least 0", ", got ", beta);
  const Reduction reduction = make_reduction(args.op(), args.text(reduction_, "reduction"));
  Array x = args.input(x_, "x", "*"), target = args.input(target_, "target", "*");
  args.check_shape(target, "target", x.shape());
  const double denominator = denominator_of(reduction, x.count()) / args.real(factor, "factor");
  const ElementwiseLoss p{kind == "squared"             ? LossKind::squared
                          : kind == "absolute"          ? LossKind::absolute
                          : kind == "squared_logarithm" ? LossKind::squared_logarithm
                          : kind == "huber"             ? LossKind::huber
                                                        : LossKind::smooth_l1,
                          static_cast<float>(beta), gradient_scale(denominator)};
  Result values, gradient;
  if (reduction == Reduction::none) values = args.output(py::none(), "values", x.shape());
  if (want_gradient) {
    gradient = args.output(out, "out", x.shape());
    args.check_apart(gradient, x, "x", true);
    args.check_apart(gradient, target, "target", true);
  }
  Number value = args.number();
  compute(backend::elementwise_loss, p, x.count(), x, target, values, gradient, denominator, value);
  return py::make_tuple(reduction == Reduction::none ? values.object() : value.object(),
                        want_gradient ? gradient.object() : py::none());
}

void check_classes(const Arguments& args, Labels& target, std::int64_t classes) {
  const auto describe = [op = std::string(args.op()), classes](auto position, double value) {
    return message(op, ": target.flat[", position, "] is ", static_cast<std::int64_t>(value),
                   "; a class index must be from 0 to ", classes - 1);
  };
  compute(backend::check_labels, target, target.count(), classes, 0, describe);
}

py::object hinge(py::object scores_, py::object target_, py::object margin_, py::object reduction_, py::object p_,
                 py::object weight_, py::object want_gradient_, py::object out) {
  const Arguments args("hinge_loss");
  const bool want_gradient = is_true(want_gradient_);
  const Reduction reduction = make_reduction(args.op(), args.text(reduction_, "reduction"));
  const double margin = args.real(margin_, "margin");
  const std::int64_t p = args.integer(p_, "p");
  check(p == 1 || p == 2, args.op(), ": p must be 1 or 2, got ", p);
  Array scores = args.input(scores_, "scores", "NC");
  Labels target = args.labels(target_, "target", "N");
  check(scores.extent(1) >= 1, args.op(), ": scores must have at least one class, got shape ", scores.shape());
  args.check_shape(target, "target", {scores.extent(0)});
  check(std::isfinite(margin), args.op(), ": margin must be finite, got ", margin);
  Array weight = args.optional_input(weight_, "weight", "C");
  if (weight.given()) {
    args.check_shape(weight, "weight", {scores.extent(1)});
    const auto describe = [](std::int64_t position, double got) {
      return message("hinge_loss: weight[", position, "] must be finite and at least 0, got ", got);
    };
    compute(backend::check_proper, weight, weight.count(), describe);
  }
  check_classes(args, target, scores.extent(1));
  Result values, gradient;
  if (reduction == Reduction::none) values = args.output(py::none(), "values", target.shape());
  if (want_gradient) {
    gradient = args.output(out, "out", scores.shape());
    args.check_apart(gradient, scores, "scores");
    args.check_apart(gradient, target, "target");
  }
  const double denominator = denominator_of(reduction, target.count());
  const HingeLoss loss{scores.extent(0), scores.extent(1), static_cast<float>(margin), p == 2,
                       gradient_scale(denominator)};
  Number value = args.number();
  compute(backend::hinge_loss, loss, scores, target, weight, values, gradient, denominator, value);
  return py::make_tuple(reduction == Reduction::none ? values.object() : value.object(),
                        want_gradient ? gradient.object() : py::none());
}

py::object probability(py::object probabilities_, py::object target_, py::object reduction_, py::object want_gradient_,
                       py::object out) {
  const Arguments args("probability_loss");
  const bool want_gradient = is_true(want_gradient_);
  const Reduction reduction = make_reduction(args.op(), args.text(reduction_, "reduction"));
  Array probabilities = args.input(probabilities_, "probabilities", "*");
  Labels target = args.labels(target_, "target", "*");
  Shape positions = probabilities.shape();
  check(positions.size() >= 2 && positions[1] >= 1, args.op(),
        ": probabilities must have shape (N, C) or (N, C, ...) with at least one class, got ", positions);
  const std::int64_t classes = positions[1], outer = positions[0];
  positions.erase(positions.begin() + 1);
  std::int64_t inner = 1;
  for (std::size_t axis = 1; axis < positions.size(); ++axis) inner *= positions[axis];
  args.check_shape(target, "target", positions);
  check_classes(args, target, classes);
  Result values, gradient;
  if (reduction == Reduction::none) values = args.output(py::none(), "values", positions);
  if (want_gradient) {
    gradient = args.output(out, "out", probabilities.shape());
    args.check_apart(gradient, probabilities, "probabilities");
    args.check_apart(gradient, target, "target");
  }
  const auto describe = [op = std::string(args.op())](auto position, double value) {
    return message(op, ": probabilities must be from 0 to 1, got ", text_of(value, 9), " for target.flat[", position,
                   "]");
  };
  const double denominator = denominator_of(reduction, target.count());
  const ProbabilityLoss loss{outer, classes, inner, gradient_scale(denominator)};
  Number value = args.number();
  compute(backend::probability_loss, loss, probabilities, target, values, gradient, denominator, value, describe);
  return py::make_tuple(reduction == Reduction::none ? values.object() : value.object(),
                        want_gradient ? gradient.object() : py::none());
}

}  // namespace losses_functions

void bind_losses(py::module_& m) {
  using namespace losses_functions;
  using py::arg;
  m.def("elementwise_loss", elementwise, arg("op"), arg("kind"), arg("x"), arg("target"), arg("beta"), arg("factor"),
        arg("reduction"), arg("want_gradient"), arg("out"));
  m.def("hinge_loss", hinge, arg("scores"), arg("target"), arg("margin"), arg("reduction"), arg("p"), arg("weight"),
        arg("want_gradient"), arg("out"));
  m.def("probability_loss", probability, arg("probabilities"), arg("target"), arg("reduction"), arg("want_gradient"),
        arg("out"));
}

}  // namespace dip
