// What is the same for the arrays of every backend.
#include "core/arguments.h"

#include <string_view>

namespace dip {

Array Arguments::input(py::handle object, const char* name, const char* layout, DType dtype) const {
  return input_of(object, name, layout, {dtype});
}

Array Arguments::input_of(py::handle object, const char* name, const char* layout,
                          std::initializer_list<DType> dtypes) const {
  return take(object, name, layout, dtypes, true);
}

Array Arguments::optional_input(py::handle object, const char* name, const char* layout, DType dtype) const {
  return object.is_none() ? Array() : input(object, name, layout, dtype);
}

void Arguments::check_layout(const Shape& shape, const char* name, const char* layout) const {
  const std::string_view axes = layout;
  if (axes == "*" || shape.size() == axes.size()) return;
  std::string named;
  for (char axis : axes) named += (named.empty() ? "" : ", ") + std::string(1, axis);
  fail(op_, ": ", name, " must have ", axes.size(), axes.size() == 1 ? " dimension (" : " dimensions (", named,
       "), got shape ", shape);
}

void Arguments::check_apart(Array& out, Array& in, const char* in_name, bool same_allowed) const {
  if (!out.given() || !in.given() || out.count() == 0 || in.count() == 0) return;
  const char* a = static_cast<const char*>(out.stored());
  const char* b = static_cast<const char*>(in.stored());
  if (same_allowed && a == b && out.bytes() == in.bytes()) return;
  check(a + out.bytes() <= b || b + in.bytes() <= a, op_, ": the result overlaps ", in_name,
        " in memory; pass an array of its own");
}

void Arguments::check_shape(const Array& array, const char* name, const Shape& expected) const {
  check(array.shape() == expected, op_, ": ", name, " must have shape ", expected, ", got ", array.shape());
}

}  // namespace dip
