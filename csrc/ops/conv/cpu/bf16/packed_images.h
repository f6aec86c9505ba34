// How images are laid out for bfloat16 products: with their zero padding, so that every tap reads at a constant shift.
#pragma once

#include <algorithm>
#include <vector>

#include "cpu/gemm/bf16.h"
#include "cpu/parallel.h"
#include "ops/conv/cpu/tap_axis.h"
#include "ops/conv/cpu/ways.h"

namespace dip::cpu {

// One axis of a packed source. For a step of s it is split into s phases, every s-th place each, so that neighbouring
// positions meet neighbouring cells. The padding behind a line is that before the next one.
struct PackedAxis {
  std::int64_t first = 0, step, cells;
  std::int64_t overhang;  // cells that a last line would have and that the next one provides

  PackedAxis(const std::vector<const TapAxis*>& axes, std::int64_t extent) : step(axes[0]->step) {
    std::int64_t last = 0, positions = 1;
    bool some = false;
    for (const TapAxis* axis : axes) {
      positions = std::max(positions, axis->positions());
      for (std::int64_t shift : axis->shift) {
        const std::int64_t end = (axis->positions() - 1) * step + shift + 1;
        first = some ? std::min(first, shift) : shift;
        last = some ? std::max(last, end) : end;
        some = true;
      }
    }
    const std::int64_t full = some ? divide_up(last - first, step) : 1;
    std::int64_t least_lead = full, data = 0;
    for (std::int64_t phase = 0; phase < step; ++phase) {
      const std::int64_t begin = first + phase;
      least_lead = std::min(least_lead, begin < 0 ? divide_up(-begin, step) : 0);
      data = std::max(data, std::min(full, begin < extent ? divide_up(extent - begin, step) : 0));
    }
    cells = std::max({positions, data, full - least_lead});
    overhang = std::max<std::int64_t>(full - cells, 0);
  }

  // The place of the source in a cell.
  std::int64_t place(std::int64_t phase, std::int64_t cell) const { return first + phase + cell * step; }
  std::int64_t phase_of(std::int64_t shift) const { return (shift - first) % step; }
  std::int64_t cell_of(std::int64_t shift) const { return (shift - first) / step; }
};

// Images packed one after the other, for each phase on its own.
struct PackedImages {
  PackedAxis h, w;
  std::int64_t image, phase;  // distances in cells
  std::int64_t images;

  PackedImages(const PackedAxis& h_, const PackedAxis& w_, std::int64_t images_)
      : h(h_), w(w_), image(h_.cells * w_.cells), images(images_) {
    phase = images * image + tail();
  }

  // Zeros behind the last image: its padding, and as much as a tile may read beyond.
  std::int64_t tail() const { return (h.overhang + 1) * w.cells + w.overhang + bf16_depth; }
  std::int64_t cells() const { return h.step * w.step * phase; }
  std::int64_t cell_of(std::int64_t h_shift, std::int64_t w_shift) const {
    return (h.phase_of(h_shift) * w.step + w.phase_of(w_shift)) * phase + h.cell_of(h_shift) * w.cells +
           w.cell_of(w_shift);
  }
  std::vector<std::int64_t> taps(const TapAxis& h_axis, const TapAxis& w_axis) const {
    std::vector<std::int64_t> cells;
    for (std::int64_t r : h_axis.shift) {
      for (std::int64_t s : w_axis.shift) cells.push_back(cell_of(r, s));
    }
    return cells;
  }
};

// Results that the same taps lead to: position (i, j) goes to out[i·row + j·column] of its plane.
struct OutputPhase {
  TapAxis h, w;
  std::vector<std::int64_t> taps;  // columns of the weights
  std::int64_t first, row, column;
};

// The positions of some images, as rows of a product.
struct Positions {
  std::vector<std::int64_t> from;  // in the packed source
  std::vector<std::int64_t> to;    // in the results, or −1 for a place between images and lines
  std::int64_t column;

  Positions(const OutputPhase& phase, const PackedImages& layout, std::int64_t out_image, bool evenly)
      : column(phase.column) {
    const std::int64_t height = phase.h.positions(), width = phase.w.positions();
    for (std::int64_t n = 0; n < layout.images; ++n) {
      for (std::int64_t i = 0; i < (evenly ? layout.h.cells : height); ++i) {
        for (std::int64_t j = 0; j < (evenly ? layout.w.cells : width); ++j) {
          const bool inside = i < height && j < width;
          from.push_back((n * layout.image + i * layout.w.cells + j) * bf16_depth);
          to.push_back(inside ? n * out_image + i * phase.row + j * phase.column : -1);
        }
      }
    }
    while (!to.empty() && to.back() < 0) {
      to.pop_back();
      from.pop_back();
    }
    // A tile that is not full reads on.
    for (std::int64_t i = 0; evenly && i < bf16_depth; ++i) from.push_back(from.empty() ? 0 : from.back() + bf16_depth);
  }

  std::int64_t count() const { return static_cast<std::int64_t>(to.size()); }

  std::vector<Bf16Run> runs(std::int64_t begin, std::int64_t end) const {
    std::vector<Bf16Run> found;
    for (std::int64_t q = begin; q < end; ++q) {
      if (to[q] < 0) continue;
      if (!found.empty() && found.back().row + found.back().count == q - begin &&
          found.back().at + found.back().count * column == to[q]) {
        ++found.back().count;
      } else {
        found.push_back({q - begin, to[q], 1});
      }
    }
    return found;
  }
};

constexpr std::int64_t packed_at_most = 3 << 19;  // bytes of a source at a time: they stay in the second-level caches

// Images of groups × channels planes.
struct PackedSource {
  const float* source;
  std::int64_t groups, channels, height, width;
};

// Packs all images of `layout`, `together` channels at a time: to[group][channels / together][plane][cell][together].
Bf16Range pack_images(const PackedSource& from, const PackedImages& layout, std::int64_t together, int parts,
                      std::uint16_t* to);

// What it costs to pack so many numbers of a source, in multiply-adds of one float32 lane.
double packing_cost(const TapAxis& w, std::int64_t numbers, int parts);

bool bf16_is_possible(const Conv2d& p);

// Where every position meets just itself, a plane is as good as a line: the plan for that, or else the same.
ForwardPlan with_lines_joined(const ForwardPlan& plan);
WeightPlan with_lines_joined(const WeightPlan& plan);
DataPlan with_lines_joined(const DataPlan& plan);

OutputPhase forward_phase(const ForwardPlan& plan);

}  // namespace dip::cpu
