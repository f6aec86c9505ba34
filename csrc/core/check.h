// Errors that name the operator, the argument, what it got and what it takes.
// Each class becomes the Python exception of the same name.
#pragma once

#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>
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

// A shape in a message, as Python writes a tuple.
std::ostream& operator<<(std::ostream& text, const std::vector<std::int64_t>& shape);

template <class... Parts>
std::string message(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
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
