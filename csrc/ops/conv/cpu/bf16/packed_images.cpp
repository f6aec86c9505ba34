#include "ops/conv/cpu/bf16/packed_images.h"

#include "cpu/costs.h"
#include "ops/conv/cpu/ways.h"

namespace dip::cpu {

using std::int64_t;

Bf16Range pack_images(const PackedSource& from, const PackedImages& layout, int64_t together, int parts,
                      std::uint16_t* to) {
  const Bf16Kernels& kernels = bf16_kernels();
  const auto pack = together == 1 ? kernels.pack_channel : kernels.pack_pixels;
  const int64_t blocks = divide_up(from.channels, together), part_distance = layout.cells() * together;
  const int64_t from_plane = from.height * from.width;
  const int64_t lines_a_task = divide_up(256, together);
  const int64_t lines = layout.images * layout.h.cells, pieces = divide_up(lines, lines_a_task);
  Bf16Ranges ranges(from.groups * blocks * pieces);
  parallel_for(from.groups * blocks * pieces, [&](int64_t task) {
    const int64_t piece = task % pieces, block = task / pieces % blocks, g = task / pieces / blocks;
    const int64_t begin = piece * lines_a_task, end = std::min(lines, begin + lines_a_task);
    std::uint16_t* block_to = to + (g * blocks + block) * parts * part_distance;
    const auto clear = [&](std::uint16_t* first, int64_t cells) {
      for (int part = 0; part < parts; ++part) std::fill_n(first + part * part_distance, cells * together, 0);
    };
    const int64_t line_to = layout.w.cells * together;
    for (int64_t phase = 0; phase < layout.h.step * layout.w.step; ++phase) {
      const int64_t a = phase / layout.w.step, b = phase % layout.w.step;
      std::uint16_t* phase_to = block_to + phase * layout.phase * together;
      for (int64_t line = begin; line < end;) {
        // The lines of an image that lie inside of it, or one that does not.
        const int64_t n = line / layout.h.cells, cell = line % layout.h.cells, y = layout.h.place(a, cell);
        const int64_t left = std::min(layout.h.cells - cell, end - line);
        if (y < 0 || y >= from.height) {
          clear(phase_to + line * line_to, layout.w.cells);
          ++line;
          continue;
        }
        const float* channel = from.source + ((n * from.groups + g) * from.channels + block * together) * from_plane;
        const int64_t some = std::min(left, divide_up(from.height - y, layout.h.step));
        pack(
            {
                .source = channel + y * from.width,
                .channel = from_plane,
                .channels = std::min(together, from.channels - block * together),
                .width = from.width,
                .first = layout.w.place(b, 0),
                .step = layout.w.step,
                .cells = layout.w.cells,
                .lines = some,
                .line_from = layout.h.step * from.width,
                .to = phase_to + line * line_to,
                .line_to = line_to,
                .part_distance = part_distance,
                .parts = parts,
            },
            ranges.of(task));
        line += some;
      }
      if (end == lines) clear(phase_to + lines * line_to, layout.tail());
    }
  });
  return ranges.merged();
}

double packing_cost(const TapAxis& w, int64_t numbers, int parts) {
  return (w.step > 2 ? costs().bf16_gather : 1.0) * costs().bf16_source * static_cast<double>(numbers * parts);
}

bool bf16_is_possible(const Conv2d& p) {
  return bf16_serves(p.precision) && p.N > 0;
}

namespace {

Conv2d joined(Conv2d p) {
  Axis &h = p.window.h, &w = p.window.w;
  w.input = w.output = h.input * w.input;
  h.input = h.output = 1;
  return p;
}

}  // namespace

ForwardPlan with_lines_joined(const ForwardPlan& plan) {
  return plan.p.is_pointwise() ? ForwardPlan(joined(plan.p)) : plan;
}

WeightPlan with_lines_joined(const WeightPlan& plan) {
  return plan.p.is_pointwise() ? WeightPlan(joined(plan.p)) : plan;
}

DataPlan with_lines_joined(const DataPlan& plan) {
  return plan.p.is_pointwise() ? DataPlan(joined(plan.p)) : plan;
}

OutputPhase forward_phase(const ForwardPlan& plan) {
  OutputPhase phase{plan.h, plan.w, {}, 0, plan.p.window.w.output, 1};
  for (int64_t tap = 0; tap < plan.p.taps(); ++tap) phase.taps.push_back(tap);
  return phase;
}

}  // namespace dip::cpu
