// Errors that name the operator, the argument, what it got and what it takes.
// Each class becomes the Python exception of the same name.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace dip {

struct ValueError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct TypeError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct IndexError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A part of a message: a text, a number, or a shape, as Python writes a tuple.
inline const char* text_of(const char* text) {
  return text;
}
inline const std::string& text_of(const std::string& text) {
  return text;
}
std::string text_of(double number, int digits = 6);
std::string text_of(const std::vector<std::int64_t>& shape);
template <class Integer>
std::enable_if_t<std::is_integral_v<Integer>, std::string> text_of(Integer number) {
  return std::to_string(number);
}

std::string joined(std::initializer_list<std::string> parts);

template <class... Parts>
std::string message(const Parts&... parts) {
  return joined({text_of(parts)...});
}

// check(condition, "conv2d: stride must be at least 1, got ", stride). The parts are evaluated even where the condition
// holds; where that takes long: if (!condition) fail(...).
template <class Error = ValueError, class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(message(parts...));
}

template <class Error = ValueError, class... Parts>
void check(bool condition, const Parts&... parts) {
  if (!condition) fail<Error>(parts...);
}

}  // namespace dip
