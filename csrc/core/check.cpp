#include "core/check.h"

#include <charconv>

namespace dip {

std::string text_of(double number, int digits) {
  char text[64];
  return {text, std::to_chars(text, text + sizeof text, number, std::chars_format::general, digits).ptr};
}

std::string text_of(const std::vector<std::int64_t>& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

std::string Part::text() const {
  switch (kind_) {
    case Kind::text: return text_;
    case Kind::integer: return std::to_string(integer_);
    case Kind::natural: return std::to_string(static_cast<std::uint64_t>(integer_));
    case Kind::real: return text_of(real_);
    default: return text_of(*shape_);
  }
}

std::string joined(std::initializer_list<Part> parts) {
  std::string text;
  for (const Part& part : parts) text += part.text();
  return text;
}

}  // namespace dip
