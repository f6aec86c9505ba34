// Errors that name the operator, the argument, what it got and what it takes.
// Each class becomes the Python exception of the same name.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

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

template <class... Parts>
std::string message(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

// check(condition, "conv2d: stride must be at least 1, got ", stride)
template <class Error = ValueError, class... Parts>
void check(bool condition, const Parts&... parts) {
  if (!condition) throw Error(message(parts...));
}

}  // namespace dip
