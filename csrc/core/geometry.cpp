#include "core/geometry.h"

#include "core/check.h"

namespace dip {
namespace {

constexpr std::int64_t largest = std::int64_t{1} << 40;  // keeps every sum and product below in 64 bits

std::string remedies(const Axis& axis, std::int64_t reach) {
  std::string strides;
  int listed = 0;
  for (std::int64_t s = 1; s <= reach && listed < 6; ++s) {
    if (reach % s == 0) strides += (listed++ ? ", " : "") + std::to_string(s);
  }
  const std::int64_t missing = axis.stride - reach % axis.stride;
  return message("stride ", strides, " would fit, or ", missing, " more padding in all, or rounding=\"floor\"");
}

}  // namespace

std::int64_t output_size(const char* op, const char* axis_name, const Axis& a, const std::string& rounding) {
  check(rounding == "exact" || rounding == "floor", op, ": rounding must be \"exact\" or \"floor\", got \"", rounding,
        "\"");
  check(a.input >= 1 && a.input <= largest, op, ": ", axis_name, " of the input must be at least 1, got ", a.input);
  check(a.kernel >= 1 && a.kernel <= largest, op, ": kernel_size along ", axis_name, " must be at least 1, got ",
        a.kernel);
  check(a.stride >= 1 && a.stride <= largest, op, ": stride along ", axis_name, " must be at least 1, got ", a.stride);
  check(a.dilation >= 1 && a.dilation <= largest / a.kernel, op, ": dilation along ", axis_name,
        " must be at least 1 and keep the window below 2^40, got ", a.dilation);
  check(a.pad_start >= 0 && a.pad_end >= 0 && a.pad_start <= largest && a.pad_end <= largest, op, ": padding along ",
        axis_name, " must be at least 0, got (", a.pad_start, ", ", a.pad_end, ")");
  const std::int64_t span = a.dilation * (a.kernel - 1) + 1;
  const std::int64_t reach = a.input + a.pad_start + a.pad_end - span;
  check(reach >= 0, op, ": a window of ", span, " (kernel_size ", a.kernel, ", dilation ", a.dilation,
        ") does not fit into ", axis_name, " ", a.input, " with padding (", a.pad_start, ", ", a.pad_end, ")");
  if (rounding == "exact" && reach % a.stride != 0) {
    fail(op, ": ", axis_name, " ", a.input, ", kernel_size ", a.kernel, ", stride ", a.stride, ", padding (",
         a.pad_start, ", ", a.pad_end, "), dilation ", a.dilation, " give the output size ", reach, "/", a.stride,
         " + 1, which is no whole number; ", remedies(a, reach));
  }
  return reach / a.stride + 1;
}

Window2d make_window(const char* op, Pair input, Pair kernel, Pair stride, const Padding& padding, Pair dilation,
                     const std::string& rounding) {
  Window2d window;
  window.h = {input[0], kernel[0], stride[0], padding[0][0], padding[0][1], dilation[0], 0};
  window.w = {input[1], kernel[1], stride[1], padding[1][0], padding[1][1], dilation[1], 0};
  window.h.output = output_size(op, "height", window.h, rounding);
  window.w.output = output_size(op, "width", window.w, rounding);
  return window;
}

}  // namespace dip
