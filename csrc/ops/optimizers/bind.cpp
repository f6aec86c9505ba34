// The optimizer steps: arguments are checked here, once, for every backend, and before anything is written.
#include <algorithm>
#include <cmath>
#include <deque>
#include <map>

#include "bind/arguments.h"
#include "bind/families.h"
#include "ops/optimizers/optimizers.h"

namespace dip {
namespace optimizers_functions {

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
struct Piece {
  const char *begin, *end;
  bool written;
};

void check_disjoint(const Arguments& args, std::vector<Piece> pieces) {
  std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.begin < b.begin; });
  const char *end_of_any = nullptr, *end_of_written = nullptr;
  for (const Piece& piece : pieces) {
    check(
        !(piece.written && piece.begin < end_of_any) && !(piece.begin < end_of_written), args.op(),
        ": two of the arrays share memory, or one is given twice; every weight and state must be an array of its own");
    end_of_any = std::max(end_of_any, piece.end);
    if (piece.written) end_of_written = std::max(end_of_written, piece.end);
  }
}

// A number for every weight, or one for all.
std::vector<float> numbers_of(const Arguments& args, py::handle given, const char* name, std::size_t count) {
  const auto take = [&](py::handle object, const std::string& label) {
    const double value = args.real(object, label.c_str());
    check(std::isfinite(value) && value >= 0.0, args.op(), ": ", label, " must be at least 0 and finite, got ", value);
    return static_cast<float>(value);
  };
  if (!py::isinstance<py::list>(given)) return std::vector<float>(count, take(given, name));
  const auto list = py::reinterpret_borrow<py::list>(given);
  check(list.size() == count, args.op(), ": ", name, " must be a number or one for each of the ", count,
        " weights, got ", list.size());
  std::vector<float> numbers;
  for (std::size_t i = 0; i < count; ++i) numbers.push_back(take(list[i], message(name, "[", i, "]")));
  return numbers;
}

// "weights[3]". Kept: making them takes longer than an update of a small network.
const char* label_of(const char* list, std::size_t number) {
  static std::map<const char*, std::deque<std::string>> labels;  // Python's lock guards it
  std::deque<std::string>& known = labels[list];
  while (known.size() <= number) known.push_back(message(list, "[", known.size(), "]"));
  return known[number].c_str();
}

py::object step(py::object rule, py::object weights_, py::object gradients_, py::object states1_, py::object states2_,
                py::object states3_, py::object lr, py::object weight_decay, py::object decay1_, py::object decay2_,
                py::object eps, py::object clip_norm, py::object clip_value, py::object step_) {
  const std::string name = string_of(rule), op = name + "_step";
  const Arguments args(op.c_str());
  const py::list weights = args.list(weights_, "weights"), gradients = args.list(gradients_, "gradients");
  const py::list states1 = args.list(states1_, "states1"), states2 = args.list(states2_, "states2");
  const py::list states3 = args.list(states3_, "states3");
  const Rules* found = std::find_if(std::begin(rules), std::end(rules), [&](const Rules& r) { return name == r.name; });
  check(found != std::end(rules), "optimizer_step: there is no rule \"", name, "\"");
  const auto take_number = [&](const char* what, py::handle object, double limit) {
    const double value = args.real(object, what);
    check(std::isfinite(value) && value >= 0.0 && value < limit, args.op(), ": ", what, " must be at least 0 and ",
          limit == INFINITY ? "finite" : "below 1", ", got ", value);
    return value;
  };
  const auto take_limit = [&](const char* what, py::handle object) {
    if (object.is_none()) return HUGE_VAL;
    const double value = args.real(object, what);
    check(value > 0.0, args.op(), ": ", what, " must be None or above 0, got ", value);
    return value;
  };
  const auto is_array = [](py::handle object) {
    return backend::steps_may_be_arrays && py::hasattr(object, "shape") && py::len(object.attr("shape")) > 0;
  };
  Array device_rates;
  if (is_array(lr)) {
    device_rates = args.in_place(lr, "lr");
    args.check_shape(device_rates, "lr", {static_cast<std::int64_t>(weights.size())});
  }
  const std::vector<float> rates =
      device_rates.given() ? std::vector<float>(weights.size()) : numbers_of(args, lr, "lr", weights.size());
  const std::vector<float> decays = numbers_of(args, weight_decay, "weight_decay", weights.size());
  const double decay1 = take_number(found->rule == Rule::adadelta ? "rho"
                                    : found->state2               ? "betas[0]"
                                                                  : "momentum",
                                    decay1_, 1.0);
  const double decay2 = take_number("betas[1]", decay2_, 1.0), epsilon = take_number("eps", eps, INFINITY);
  Array device_step;
  std::int64_t step = 1;
  if (is_array(step_)) {
    device_step = args.in_place(step_, "step", DType::int64);
    args.check_shape(device_step, "step", {1});
  } else {
    step = args.integer(step_, "step");
  }
  check(step >= 1, args.op(), ": step must be at least 1, got ", step);
  const auto check_length = [&](const char* what, const py::list& list) {
    check(list.size() == weights.size(), args.op(), ": ", what, " must hold one array for each of the ", weights.size(),
          " weights, got ", list.size());
  };
  check_length("gradients", gradients);
  if (found->state1) check_length(found->state1, states1);
  if (found->state2) check_length(found->state2, states2);
  constexpr const char* state3 = "largest_second_moments";
  const bool amsgrad = states3.size() > 0;
  if (amsgrad) check_length(state3, states3);

  std::vector<Array> arrays;  // keeps the owners alive
  arrays.reserve(5 * weights.size());
  std::vector<Piece> pieces;
  const auto take = [&](const py::list& list, const char* what, std::size_t i, const Shape* shape,
                        bool written) -> Array& {
    const char* label = label_of(what, i);
    arrays.push_back(written ? args.in_place(list[i], label) : args.input(list[i], label, "*"));
    Array& array = arrays.back();
    if (shape) args.check_shape(array, label, *shape);
    if (array.count() > 0) {
      const char* begin = array.data<char>();
      pieces.push_back({begin, begin + array.bytes(), written});
    }
    return array;
  };
  std::vector<backend::Reals> slopes;
  std::vector<UpdateTensor> tensors;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    UpdateTensor t{};
    t.w = take(weights, "weights", i, nullptr, true).data<float>();
    const Shape shape = arrays.back().shape();
    t.count = arrays.back().count();
    slopes.push_back(take(gradients, "gradients", i, &shape, false).reals());
    if (found->state1) t.state1 = take(states1, found->state1, i, &shape, true).data<float>();
    if (found->state2) t.state2 = take(states2, found->state2, i, &shape, true).data<float>();
    if (amsgrad) t.state3 = take(states3, state3, i, &shape, true).data<float>();
    t.learning_rate = rates[i];
    t.weight_decay = decays[i];
    tensors.push_back(t);
  }
  check_disjoint(args, std::move(pieces));

  Update update;
  update.rule = found->rule;
  update.clip_norm = take_limit("clip_norm", clip_norm);
  update.clip_value = static_cast<float>(take_limit("clip_value", clip_value));
  update.decay1 = static_cast<float>(decay1);
  update.decay2 = static_cast<float>(decay2);
  update.rest1 = static_cast<float>(1.0 - decay1);
  update.rest2 = static_cast<float>(1.0 - decay2);
  update.epsilon = static_cast<float>(epsilon);
  update.correction1 = static_cast<float>(1.0 - std::pow(decay1, static_cast<double>(step)));
  update.correction2 = static_cast<float>(std::sqrt(1.0 - std::pow(decay2, static_cast<double>(step))));
  update.device_step = device_step.data<std::int64_t>();
  update.device_rates = device_rates.data<float>();
  update.exact_decay1 = decay1;
  update.exact_decay2 = decay2;
  {
    const ReleasedLock released(Interruption::never);
    backend::optimizer_step(update, tensors.data(), slopes.data(), static_cast<std::int64_t>(tensors.size()));
  }
  return py::none();  // with Python's lock
}

}  // namespace optimizers_functions

void bind_optimizers(py::module_& m) {
  using namespace optimizers_functions;
  using py::arg;
  m.def("optimizer_step", step, arg("rule"), arg("weights"), arg("gradients"), arg("states1"), arg("states2"),
        arg("states3"), arg("lr"), arg("weight_decay"), arg("decay1"), arg("decay2"), arg("eps"), arg("clip_norm"),
        arg("clip_value"), arg("step"));
}

}  // namespace dip
