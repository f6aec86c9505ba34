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

std::string text_of(double number, int digits = 6);
std::string text_of(const std::vector<std::int64_t>& shape);  // as Python writes a tuple

// A part of a message: a text, a number, or a shape. Nothing but a reference, so that what calls check() is short.
class Part {
 public:
  Part(const char* text) : kind_(Kind::text), text_(text) {}
  Part(const std::string& text) : kind_(Kind::text), text_(text.c_str()) {}
  Part(const std::vector<std::int64_t>& shape) : kind_(Kind::shape), shape_(&shape) {}
  Part(double number) : kind_(Kind::real), real_(number) {}
  template <class Integer, class = std::enable_if_t<std::is_integral_v<Integer>>>
  Part(Integer number)
      : kind_(std::is_signed_v<Integer> ? Kind::integer : Kind::natural), integer_(static_cast<std::int64_t>(number)) {}

  std::string text() const;

 private:
  enum class Kind { text, integer, natural, real, shape } kind_;
  union {
    const char* text_;
    std::int64_t integer_;
    double real_;
    const std::vector<std::int64_t>* shape_;
  };
};

std::string joined(std::initializer_list<Part> parts);

template <class Error>
[[noreturn, gnu::noinline]] void throw_joined(std::initializer_list<Part> parts) {
  throw Error(joined(parts));
}

template <class... Parts>
std::string message(const Parts&... parts) {
  return joined({Part(parts)...});
}

// check(condition, "conv2d: stride must be at least 1, got ", stride). The parts are evaluated even where the condition
// holds; where that takes long: if (!condition) fail(...).
template <class Error = ValueError, class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw_joined<Error>({Part(parts)...});
}

template <class Error = ValueError, class... Parts>
void check(bool condition, const Parts&... parts) {
  if (!condition) fail<Error>(parts...);
}

}  // namespace dip
