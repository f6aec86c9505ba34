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
  check(rounding == "exact" || rounding == "floor" || rounding == "ceil", op,
        ": rounding must be \"exact\", \"floor\" or, in pooling, \"ceil\", got \"", rounding, "\"");
  const auto check_size = [&](std::int64_t value, const char* name, const char* of) {
    if (value >= 1 && value <= largest) return;
    fail(op, ": ", name, of, axis_name, value < 1 ? " must be at least 1, got " : " must be at most 2^40, got ", value);
  };
  check_size(a.input, "the input's size", " along ");
  check_size(a.kernel, "kernel_size", " along ");
  check_size(a.stride, "stride", " along ");
  check(a.dilation >= 1 && a.dilation <= largest / a.kernel, op, ": dilation along ", axis_name,
        " must be at least 1 and keep the window below 2^40, got ", a.dilation);
  check(a.pad_start >= 0 && a.pad_end >= 0 && a.pad_start <= largest && a.pad_end <= largest, op, ": padding along ",
        axis_name, " must be from 0 to 2^40, got (", a.pad_start, ", ", a.pad_end, ")");
  const std::int64_t span = a.dilation * (a.kernel - 1) + 1;
  const std::int64_t reach = a.input + a.pad_start + a.pad_end - span;
  check(reach >= 0, op, ": a window of ", span, " (kernel_size ", a.kernel, ", dilation ", a.dilation,
        ") does not fit into ", axis_name, " ", a.input, " with padding (", a.pad_start, ", ", a.pad_end, ")");
  if (rounding == "exact" && reach % a.stride != 0) {
    fail(op, ": ", axis_name, " ", a.input, ", kernel_size ", a.kernel, ", stride ", a.stride, ", padding (",
         a.pad_start, ", ", a.pad_end, "), dilation ", a.dilation, " give the output size ", reach, "/", a.stride,
         " + 1, which is no whole number; ", remedies(a, reach));
  }
  const std::int64_t output = reach / a.stride + 1;
  // One more window for the end of the input, unless it would begin beyond that.
  const bool one_more = rounding == "ceil" && reach % a.stride != 0 && output * a.stride < a.input + a.pad_start;
  return output + one_more;
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

Window3d make_window(const char* op, Triple input, Triple kernel, Triple stride, const Padding3d& padding,
                     Triple dilation, const std::string& rounding) {
  Axis d{input[0], kernel[0], stride[0], padding[0][0], padding[0][1], dilation[0], 0};
  d.output = output_size(op, "depth", d, rounding);
  Window3d window = make_window(op, Pair{input[1], input[2]}, Pair{kernel[1], kernel[2]}, Pair{stride[1], stride[2]},
                                Padding{padding[1], padding[2]}, Pair{dilation[1], dilation[2]}, rounding);
  window.d = d;
  return window;
}

}  // namespace dip
