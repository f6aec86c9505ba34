// Average, sum and L2 pooling on the CPU, one channel at a time, compiled once for each instruction set.
//
// Memory-bound. The lanes of a vector are neighbouring windows, backward neighbouring elements of the input; both add
// their terms in one order, windows at the border one by one. Sums of more terms than `most_plain` are taken window by
// window, or element by element, and lose nothing by their length.
#include "ops/pool/kernels.h"

#include "ops/pool/cpu/windows.h"

namespace dip::cpu::DIP_ISA {
namespace {

// Moves the windows that meet the element before `position` on to those that meet this one.
inline void advance(const Axis& axis, std::int64_t position, Span& windows) {
  const std::int64_t padded = position + axis.pad_start;
  while (windows.end < axis.output && windows.end * axis.stride <= padded) ++windows.end;
  while (windows.begin < windows.end && windows.begin * axis.stride + axis.kernel <= padded) ++windows.begin;
}

// Calls body(row, frames, rows) for every row of the input, numbered through all frames, and the windows that meet it.
template <class Body>
inline void each_input_row(const Window3d& window, const Body& body) {
  Span frames{0, 0};
  for (std::int64_t frame = 0; frame < window.d.input; ++frame) {
    advance(window.d, frame, frames);
    Span rows{0, 0};
    for (std::int64_t ih = 0; ih < window.h.input; ++ih) {
      advance(window.h, ih, rows);
      body(frame * window.h.input + ih, frames, rows);
    }
  }
}

inline std::int64_t most_windows_over(const Axis& axis) {
  const std::int64_t most = (axis.kernel - 1) / axis.stride + 1;
  return most < axis.output ? most : axis.output;
}

// How many places of a window count: those in the input, or in the padding too, but never beyond it.
inline std::int64_t counted(const Pool& p, const Axis& axis, std::int64_t output) {
  if (!p.count_include_pad) return inside(axis, output).size();
  const std::int64_t start = output * axis.stride - axis.pad_start, end = start + axis.kernel;
  return (end < axis.input + axis.pad_end ? end : axis.input + axis.pad_end) - start;
}

// What one window's sum is divided by. `line`: of the result, through all its frames.
inline float divisor(const Pool& p, std::int64_t line, std::int64_t ow) {
  if (p.kind != Pooling::average) return 1.0f;
  if (p.divides_by_all) return static_cast<float>(p.taps());
  const std::int64_t od = line / p.window.h.output, oh = line % p.window.h.output;
  return static_cast<float>(counted(p, p.window.d, od) * counted(p, p.window.h, oh) * counted(p, p.window.w, ow));
}

// Of so many terms a plain sum in float32 is as good as any.
constexpr std::int64_t most_plain = 64;

// A line of numbers, each by the divisor of its window.
inline void divide(const Pool& p, std::int64_t line, const float* from, float* to) {
  const Axis& w = p.window.w;
  const InnerWindows inner(w);
  const std::int64_t begin = p.divides_by_all ? 0 : inner.begin, end = p.divides_by_all ? w.output : inner.end;
  for (std::int64_t ow = 0; ow < begin; ++ow) to[ow] = from[ow] / divisor(p, line, ow);
  for (std::int64_t ow = begin; ow < end; ow += W) {
    const std::int64_t lanes = lanes_at(ow, end);
    store_some(to + ow, load_some(from + ow, lanes) / broadcast(divisor(p, line, ow)), lanes);
  }
  for (std::int64_t ow = end; ow < w.output; ++ow) to[ow] = from[ow] / divisor(p, line, ow);
}

inline F term(const Pool& p, F v) {
  return p.kind == Pooling::l2 ? v * v : v;
}

// The sum over one window of many taps, of squares for L2.
inline float long_sum(const Pool& p, const WindowLine& windows, const float* x, std::int64_t ow) {
  const Span columns = inside(p.window.w, ow);
  LongSum sum;
  windows.each_row(p.window, [&](std::int64_t row) {
    const float* in = x + row * p.window.w.input + columns.begin;
    for (std::int64_t i = 0; i < columns.size(); i += W)
      sum.add(term(p, load_some(in + i, lanes_at(i, columns.size()))));
  });
  return horizontal_sum(sum.total());
}

// The same of few taps.
inline float border_sum(const Pool& p, const WindowLine& windows, const float* x, std::int64_t ow) {
  const Span columns = inside(p.window.w, ow);
  F sum = {};  // in its first lane
  windows.each_row(p.window, [&](std::int64_t row) {
    const float* in = x + row * p.window.w.input;
    for (std::int64_t i = columns.begin; i < columns.end; ++i) sum += term(p, first_only(broadcast(in[i]), 1, 0.0f));
  });
  return sum[0];
}

void forward(const Pool& p, const float* x, float* y) {
  const Axis& w = p.window.w;
  const bool plain = p.taps() <= most_plain;
  const auto sum_of_one = plain ? border_sum : long_sum;
  const InnerWindows inner(w);
  const Span vectors = plain ? Span{inner.begin, inner.end} : Span{0, 0};
  for (std::int64_t line = 0; line < p.window.d.output * p.window.h.output; ++line, y += w.output) {
    const WindowLine windows(p.window, line);
    for (std::int64_t ow = 0; ow < vectors.begin; ++ow) y[ow] = sum_of_one(p, windows, x, ow);
    for (std::int64_t ow = vectors.end; ow < w.output; ++ow) y[ow] = sum_of_one(p, windows, x, ow);
    for (std::int64_t ow = vectors.begin; ow < vectors.end; ow += W) {
      const std::int64_t lanes = lanes_at(ow, vectors.end), left = ow * w.stride - w.pad_start;
      F sum = {};
      windows.each_row(p.window, [&](std::int64_t row) {
        for (std::int64_t column = left; column < left + w.kernel; ++column) {
          sum += term(p, load_strided(x + row * w.input + column, w.stride, lanes, w.input - column));
        }
      });
      store_some(y + ow, sum, lanes);
    }
    if (p.kind == Pooling::l2) {
      for (std::int64_t ow = 0; ow < w.output; ow += W) {
        const std::int64_t lanes = lanes_at(ow, w.output);
        store_some(y + ow, sqrt(load_some(y + ow, lanes)), lanes);
      }
    } else if (p.kind == Pooling::average) {
      divide(p, line, y, y);
    }
  }
}

// What a window gives an element x of it. Of L2 pooling, d‖x‖/dx = x/‖x‖; at ‖x‖ = 0 the subgradient 0.
inline double share(const Pool& p, std::int64_t line, std::int64_t ow, const float* dy, const float* y, float x) {
  const std::int64_t o = line * p.window.w.output + ow;
  if (p.kind != Pooling::l2) return dy[o] / divisor(p, line, ow);
  return y[o] != 0.0f ? dy[o] * (x / y[o]) : 0.0f;
}

// Of many windows over an element.
void backward_long(const Pool& p, const float* dy, const float* x, const float* y, float* dx) {
  const Axis& w = p.window.w;
  each_input_row(p.window, [&](std::int64_t row, Span frames, Span rows) {
    Span columns{0, 0};
    for (std::int64_t iw = 0; iw < w.input; ++iw) {
      advance(w, iw, columns);
      const std::int64_t i = row * w.input + iw;
      double sum = 0.0;
      for (std::int64_t od = frames.begin; od < frames.end; ++od) {
        for (std::int64_t oh = rows.begin; oh < rows.end; ++oh) {
          for (std::int64_t ow = columns.begin; ow < columns.end; ++ow) {
            sum += share(p, od * p.window.h.output + oh, ow, dy, y, x ? x[i] : 0.0f);
          }
        }
      }
      dx[i] = static_cast<float>(sum);
    }
  });
}

// Lines of the windows' numbers with zeros on both sides, so that every element of the input may read as many.
struct WideLines {
  std::int64_t before, length;

  explicit WideLines(const Axis& w) : before((w.kernel - 1) / w.stride + 1) {
    const std::int64_t elements = (w.input + w.stride - 1) / w.stride + W;
    const std::int64_t after = elements + (w.pad_start + w.stride - 1) / w.stride;
    length = before + (after > w.output ? after : w.output);
  }
  float* fill(float* lines, std::int64_t line) const {
    for (std::int64_t i = line * length; i < (line + 1) * length; ++i) lines[i] = 0.0f;
    return lines + line * length + before;
  }
};

std::int64_t scratch_numbers(const Pool& p) {
  return 2 * p.window.d.output * p.window.h.output * WideLines(p.window.w).length;
}

// What the windows of lines [rows.begin, rows.end) of frames [frames.begin, frames.end) give to a row of the input.
struct RowOfShares {
  Span frames, rows;
  const float *shares, *norms;  // WideLines; the windows' norms of L2 alone
  const float* x;               // the row, of L2 alone
  float* dx;
};

// share() of L2 pooling.
inline F l2_share(F given, F norm, F own) {
  return select(norm != F{}, given * (own / norm), F{});
}

// Elements side by side, or `stride` apart, are the vector.
void add_by_elements(const Pool& p, const WideLines& wide, const RowOfShares& row) {
  const Axis& w = p.window.w;
  for (std::int64_t q = 0; q * w.stride < w.input; q += W) {
    F even = {};  // of a stride of 2, until the odd ones are there
    for (std::int64_t r = 0; r < w.stride && q * w.stride + r < w.input; ++r) {
      const std::int64_t element = q * w.stride + r, lanes = lanes_at(0, (w.input - element - 1) / w.stride + 1);
      const F own = row.x ? load_strided(row.x + element, w.stride, lanes, w.input - element) : F{};
      F sum = {};
      for (std::int64_t od = row.frames.begin; od < row.frames.end; ++od) {
        for (std::int64_t oh = row.rows.begin; oh < row.rows.end; ++oh) {
          const std::int64_t first = (od * p.window.h.output + oh) * wide.length + wide.before + q;
          for (std::int64_t s = (r + w.pad_start) % w.stride; s < w.kernel; s += w.stride) {
            const std::int64_t at = first + (r + w.pad_start - s) / w.stride;
            const F given = load(row.shares + at);
            sum += row.x ? l2_share(given, load(row.norms + at), own) : given;
          }
        }
      }
      if (w.stride == 1) {
        store_some(row.dx + element, sum, lanes);
      } else if (w.stride == 2 && r == 0) {
        even = sum;
        if (element + 1 == w.input) row.dx[element] = sum[0];
      } else if (w.stride == 2) {
        store_interleaved(row.dx + element - 1, even, sum, w.input - (element - 1));
      } else {
        for (std::int64_t lane = 0; lane < lanes; ++lane) row.dx[element + lane * w.stride] = sum[lane];
      }
    }
  }
}

// The same of windows that span the whole row, as a network's last pooling has them: every element gets the same.
void add_to_all(const Pool& p, const WideLines& wide, const RowOfShares& row) {
  F sum = {};
  for (std::int64_t od = row.frames.begin; od < row.frames.end; ++od) {
    for (std::int64_t oh = row.rows.begin; oh < row.rows.end; ++oh) {
      sum += broadcast(row.shares[(od * p.window.h.output + oh) * wide.length + wide.before]);
    }
  }
  const std::int64_t width = p.window.w.input;
  for (std::int64_t i = 0; i < width; i += W) store_some(row.dx + i, sum, lanes_at(i, width));
}

// The same of few wide windows, each of which gives to a part of the lanes.
void add_by_windows(const Pool& p, const WideLines& wide, const RowOfShares& row) {
  const Axis& w = p.window.w;
  for (std::int64_t i = 0; i < w.input; i += W) {
    const std::int64_t lanes = lanes_at(i, w.input);
    const F own = row.x ? load_some(row.x + i, lanes) : F{};
    F sum = {};
    for (std::int64_t od = row.frames.begin; od < row.frames.end; ++od) {
      for (std::int64_t oh = row.rows.begin; oh < row.rows.end; ++oh) {
        const std::int64_t first = (od * p.window.h.output + oh) * wide.length + wide.before;
        for (std::int64_t ow = 0; ow < w.output; ++ow) {
          const Span columns = inside(w, ow);
          const std::int64_t begin = columns.begin > i ? columns.begin - i : 0, end = lanes_at(i, columns.end);
          if (begin >= end) continue;
          const I lane = lane_numbers();
          const I meets = (I)(lane >= static_cast<std::int32_t>(begin)) & (I)(lane < static_cast<std::int32_t>(end));
          const F given = broadcast(row.shares[first + ow]);
          sum += select(meets, row.x ? l2_share(given, broadcast(row.norms[first + ow]), own) : given, F{});
        }
      }
    }
    store_some(row.dx + i, sum, lanes);
  }
}

// x and y are those of L2 alone, else null.
void backward(const Pool& p, const float* dy, const float* x, const float* y, float* dx, float* scratch) {
  const Axis &d = p.window.d, &h = p.window.h, &w = p.window.w;
  if (most_windows_over(d) * most_windows_over(h) * most_windows_over(w) > most_plain)
    return backward_long(p, dy, x, y, dx);
  const WideLines wide(w);
  const std::int64_t lines = d.output * h.output;
  float *shares = scratch, *norms = x ? scratch + lines * wide.length : nullptr;
  for (std::int64_t line = 0; line < lines; ++line) {
    float* given = wide.fill(shares, line);
    if (p.kind == Pooling::average) {
      divide(p, line, dy + line * w.output, given);
    } else {
      for (std::int64_t ow = 0; ow < w.output; ++ow) given[ow] = dy[line * w.output + ow];
    }
    if (!norms) continue;
    float* norm = wide.fill(norms, line);
    for (std::int64_t ow = 0; ow < w.output; ++ow) norm[ow] = y[line * w.output + ow];
  }
  const std::int64_t vectors_by_windows = w.output * ((w.input + W - 1) / W),
                     vectors_by_elements = (w.input / w.stride / W + 1) * w.kernel;
  const Span first = inside(w, 0);
  const bool gives_to_all = w.output == 1 && first.begin == 0 && first.end == w.input && !x;
  const auto add = gives_to_all                               ? add_to_all
                   : vectors_by_windows < vectors_by_elements ? add_by_windows
                                                              : add_by_elements;
  each_input_row(p.window, [&](std::int64_t row, Span frames, Span rows) {
    add(p, wide, {frames, rows, shares, norms, x ? x + row * w.input : nullptr, dx + row * w.input});
  });
}

}  // namespace

extern const PoolKernels pool_kernels = {
    .forward = forward,
    .scratch_numbers = scratch_numbers,
    .backward = backward,
};

}  // namespace dip::cpu::DIP_ISA
