// What the launchers share that have the images of the batch as the vector: a block of images is copied so that the
// numbers of all its images at one place lie side by side.
#pragma once

#include <algorithm>
#include <vector>

#include "core/conv2d.h"
#include "cpu/gemm/kernels.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "ops/conv/cpu/images/kernels.h"
#include "ops/conv/cpu/tap_axis.h"
#include "ops/conv/cpu/ways.h"

namespace dip::cpu {

// What an image costs with so many products of vectors and moved numbers; a last block of images that is not full
// costs as much as a full one.
double images_cost(std::int64_t images, double products, std::int64_t moved);

// What these plans' products take with the images as the vector; worked out once. To the data for stride 1.
const ImageSteps& image_steps(ForwardPlan& plan);
const ImageSteps& image_steps(DataPlan& plan);
const ImageSteps& image_steps(WeightPlan& plan);

// How far a held copy of a plane reaches along one axis.
struct Held {
  std::int64_t first, extent;

  // What the taps of the first `positions` positions meet.
  Held(const TapAxis& axis, std::int64_t positions);
  Held(std::int64_t first_, std::int64_t extent_) : first(first_), extent(extent_) {}
};

// How planes are held: `line` and `plane` are distances in floats.
struct HeldPlanes {
  Held lines, columns;
  std::int64_t line, plane;

  HeldPlanes(const Held& lines, const Held& columns);

  // The offset of every [c, r, s] from the line and column of the first position.
  std::vector<std::int64_t> offsets(std::int64_t channels, const TapAxis& h, const TapAxis& w) const;

  // Copies lines [first, first + count) of the planes of so many images, with zeros around them where they are outside.
  void interleave(const float* planes, std::int64_t image, std::int64_t images, std::int64_t channels,
                  std::int64_t height, std::int64_t width, std::int64_t first, std::int64_t count, float* to) const;
};

// Where the elements of a matrix lie: of each group, of each row, and of each [c, r, s] of it.
struct WeightMatrix {
  const float* weight;
  std::int64_t group, row;
  std::vector<std::int64_t> columns;
};

WeightMatrix forward_matrix(const Conv2d& p, const float* weight);
WeightMatrix backward_matrix(const Conv2d& p, const float* weight);  // for stride 1

// A product ready to be run for any group and block of images.
struct PreparedProduct {
  TapAxis h, w;
  std::int64_t rows, channels;
  ImageTiling tiling;
  std::vector<std::int64_t> offsets;
  const float* packed;  // of all groups
  std::int64_t part_rows, sums_rows, channels_at_once;
  std::int64_t source_line;

  // `positions` of the height are run at once at most; windows of pool_h lines stay together.
  PreparedProduct(const TapAxis& h, const TapAxis& w, const ImageTiling& tiling, std::int64_t groups, std::int64_t rows,
                  std::int64_t channels, const WeightMatrix& matrix, const HeldPlanes& held, std::int64_t positions,
                  std::int64_t pool_h, Scratch& packed_scratch);

  // For `source`, a held copy; the caller says where the results go.
  ImageProduct of(std::int64_t group, const float* source, std::int64_t source_begin, std::int64_t images) const;
  std::int64_t sums_floats() const;
};

// A weight gradient ready to be run for any group and block of images.
struct PreparedGradient {
  ImageTiling tiling;
  std::int64_t filters, depth, lines;  // so many lines of dy are run at once
  std::vector<std::int64_t> taps, left_offsets, right_offsets;
  std::int64_t right_line, grid_w;

  // dy is held with lines left_line apart.
  PreparedGradient(const WeightPlan& plan, const HeldPlanes& held_x, std::int64_t left_line);

  // Sums the products of `count` lines of dy, from `left` on, with x from `right` on.
  void run(const float* left, std::int64_t left_plane, const float* right, std::int64_t count, float* sums,
           bool accumulate) const;
};

constexpr std::int64_t units_wanted = 4;  // of the work, each with its own copy of the source

// The blocks of images, and their pieces along the height, that are the units of work.
struct Units {
  std::int64_t blocks, pieces, height;

  Units(std::int64_t images, std::int64_t groups, std::int64_t height_)
      : blocks(divide_up(images, packing_kernels().lanes)),
        pieces(std::min(height_, divide_up(units_wanted, std::max<std::int64_t>(blocks * groups, 1)))),
        height(height_) {}

  std::int64_t begin(std::int64_t piece) const { return piece * height / pieces; }
  std::int64_t longest() const { return divide_up(height, pieces); }
};

// Forward, and of every window of the results the maximum and where it stands in its plane.
void forward_pooled_by_images(const ForwardPlan& plan, const Window2d& pool, const float* x, const float* weight,
                              const float* bias, float* y, std::int32_t* indices);

// dweight[i] = Σ_share partial[share][i]
void sum_shares(const float* partial, std::int64_t shares, std::int64_t count, float* dweight);

}  // namespace dip::cpu
