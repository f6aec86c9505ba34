// The optimizer steps: arguments are checked here, once, for every backend, and before anything is written.
#include <algorithm>
#include <cmath>

#include "core/arguments.h"
#include "core/families.h"
#include "ops/optimizers/optimizers.h"

namespace dip {
namespace {

using Arrays = py::typing::List<py::object>;

struct Rules {
  const char* name;
  Rule rule;
  const char* state1;
  const char* state2;
};

constexpr Rules rules[] = {
    {"gradient_descent", Rule::gradient_descent, nullptr, nullptr},
    {"momentum", Rule::momentum, "velocities", nullptr},
    {"nesterov", Rule::nesterov, "velocities", nullptr},
    {"adagrad", Rule::adagrad, "square_sums", nullptr},
    {"adadelta", Rule::adadelta, "square_averages", "step_averages"},
    {"adam", Rule::adam, "first_moments", "second_moments"},
    {"adamw", Rule::adamw, "first_moments", "second_moments"},
};

// Two arrays that are written must not share memory: the order of the writes would be left to the threads.
void check_disjoint(const Arguments& args, const std::vector<UpdateTensor>& tensors) {
  struct Piece {
    const float *begin, *end;
    bool written;
  };
  std::vector<Piece> pieces;
  for (const UpdateTensor& t : tensors) {
    if (t.count == 0) continue;
    pieces.push_back({t.gradient, t.gradient + t.count, false});
    for (const float* written :
         {static_cast<const float*>(t.w), static_cast<const float*>(t.state1), static_cast<const float*>(t.state2)}) {
      if (written) pieces.push_back({written, written + t.count, true});
    }
  }
  std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.begin < b.begin; });
  const float *end_of_any = nullptr, *end_of_written = nullptr;
  for (const Piece& piece : pieces) {
    check(
        !(piece.written && piece.begin < end_of_any) && !(piece.begin < end_of_written), args.op(),
        ": two of the arrays share memory, or one is given twice; every weight and state must be an array of its own");
    end_of_any = std::max(end_of_any, piece.end);
    if (piece.written) end_of_written = std::max(end_of_written, piece.end);
  }
}

void step(const std::string& name, Arrays weights, Arrays gradients, Arrays states1, Arrays states2,
          double learning_rate, double weight_decay, double decay1, double decay2, double epsilon, py::object step_) {
  const std::string op = name + "_step";
  const Arguments args(op.c_str());
  const Rules* found = std::find_if(std::begin(rules), std::end(rules), [&](const Rules& r) { return name == r.name; });
  check(found != std::end(rules), "optimizer_step: there is no rule \"", name, "\"");
  const auto check_number = [&](const char* what, double value, double limit) {
    check(std::isfinite(value) && value >= 0.0 && value < limit, args.op(), ": ", what, " must be at least 0 and ",
          limit == INFINITY ? "finite" : "below 1", ", got ", value);
  };
  check_number("lr", learning_rate, INFINITY);
  check_number("weight_decay", weight_decay, INFINITY);
  check_number(found->rule == Rule::adadelta ? "rho" : found->state2 ? "betas[0]" : "momentum", decay1, 1.0);
  check_number("betas[1]", decay2, 1.0);
  check_number("eps", epsilon, INFINITY);
  const bool counts_on_device = backend::steps_may_be_arrays && py::hasattr(step_, "shape");
  Array device_step;
  std::int64_t step = 1;
  if (counts_on_device) {
    device_step = args.in_place(step_, "step", DType::int64);
    args.check_shape(device_step, "step", {1});
  } else {
    if (!py::isinstance<py::int_>(step_)) {
      fail<TypeError>(args.op(), ": step must be an int, got ",
                      static_cast<std::string>(py::str(py::type::of(step_).attr("__name__"))));
    }
    step = step_.cast<std::int64_t>();
  }
  check(step >= 1, args.op(), ": step must be at least 1, got ", step);
  const auto check_length = [&](const char* what, const Arrays& list) {
    check(list.size() == weights.size(), args.op(), ": ", what, " must hold one array for each of the ", weights.size(),
          " weights, got ", list.size());
  };
  check_length("gradients", gradients);
  if (found->state1) check_length(found->state1, states1);
  if (found->state2) check_length(found->state2, states2);

  std::vector<Array> arrays;  // keeps the owners alive
  arrays.reserve(4 * weights.size());
  const auto take = [&](const Arrays& list, const char* what, std::size_t i, const Shape* shape,
                        bool written) -> float* {
    const std::string label = std::string(what) + "[" + std::to_string(i) + "]";
    arrays.push_back(written ? args.in_place(list[i], label.c_str()) : args.input(list[i], label.c_str(), "*"));
    if (shape) args.check_shape(arrays.back(), label.c_str(), *shape);
    return arrays.back().tensor().f32();
  };
  std::vector<UpdateTensor> tensors;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    UpdateTensor t{};
    t.w = take(weights, "weights", i, nullptr, true);
    const Shape shape = arrays.back().shape();
    t.count = arrays.back().count();
    t.gradient = take(gradients, "gradients", i, &shape, false);
    if (found->state1) t.state1 = take(states1, found->state1, i, &shape, true);
    if (found->state2) t.state2 = take(states2, found->state2, i, &shape, true);
    tensors.push_back(t);
  }
  check_disjoint(args, tensors);

  Update update;
  update.rule = found->rule;
  update.learning_rate = static_cast<float>(learning_rate);
  update.weight_decay = static_cast<float>(weight_decay);
  update.decay1 = static_cast<float>(decay1);
  update.decay2 = static_cast<float>(decay2);
  update.rest1 = static_cast<float>(1.0 - decay1);
  update.rest2 = static_cast<float>(1.0 - decay2);
  update.epsilon = static_cast<float>(epsilon);
  update.correction1 = static_cast<float>(1.0 - std::pow(decay1, static_cast<double>(step)));
  update.correction2 = static_cast<float>(std::sqrt(1.0 - std::pow(decay2, static_cast<double>(step))));
  update.device_step = device_step.tensor().i64();
  update.exact_decay1 = decay1;
  update.exact_decay2 = decay2;
  py::gil_scoped_release release;
  backend::optimizer_step(update, tensors.data(), static_cast<std::int64_t>(tensors.size()));
}

}  // namespace

void bind_optimizers(py::module_& m) {
  using py::arg;
  m.def("optimizer_step", step, arg("rule"), arg("weights"), arg("gradients"), arg("states1"), arg("states2"),
        arg("lr"), arg("weight_decay"), arg("decay1"), arg("decay2"), arg("eps"), arg("step"));
}

}  // namespace dip
