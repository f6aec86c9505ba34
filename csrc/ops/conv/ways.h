// The ways in which the CPU computes a convolution and its gradients; cpu.cpp chooses one by what it costs.
#pragma once

#include <algorithm>
#include <limits>
#include <string>

#include "ops/conv/params.h"

namespace dip::cpu {

constexpr std::int64_t pieces_wanted = 16;  // of the work: enough for the threads to share evenly

// And of large work more, so that none takes longer than some hundredths of a second: between them Ctrl-C is looked
// for.
inline std::int64_t pieces_of(std::int64_t results, std::int64_t depth) {
  return std::max(pieces_wanted,
                  static_cast<std::int64_t>(static_cast<double>(results) * static_cast<double>(depth) / (1 << 28)));
}

// One plane of results after the other: for groups of few channels.
void forward_by_rows(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y);
void backward_data_by_rows(const Conv2d& p, const float* dy, const float* weight, float* dx);
void backward_weight_by_rows(const Conv2d& p, const float* dy, const float* x, float* dweight);

// Tiles of filters × columns with the columns as the vector: for few filters.
void forward_by_tiles(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y);
void backward_data_by_tiles(const Conv2d& p, const float* dy, const float* weight, float* dx);

// The filters, or backward the channels, as the vector: for all that fill it.
void forward_by_lanes(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y);
void backward_data_by_lanes(const Conv2d& p, const float* dy, const float* weight, float* dx);
void backward_weight_by_lanes(const Conv2d& p, const float* dy, const float* x, float* dweight);

// The images as the vector: for few channels and filters. Backward data for stride 1 alone.
void forward_by_images(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y);
void backward_data_by_images(const Conv2d& p, const float* dy, const float* weight, float* dx);
void backward_weight_by_images(const Conv2d& p, const float* dy, const float* x, float* dweight);

// Dot products along the positions: weight gradients of few filters.
void backward_weight_by_dots(const Conv2d& p, const float* dy, const float* x, float* dweight);

// Products of bfloat16 numbers, on processors that multiply them. False where the numbers forbid it: infinities, or
// sums that would leave the range of float32.
bool forward_by_bf16(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y);
bool backward_data_by_bf16(const Conv2d& p, const float* dy, const float* weight, float* dx);
bool backward_weight_by_bf16(const Conv2d& p, const float* dy, const float* x, float* dweight);

// Winograd's F(4 × 4, 3 × 3), for precisions below `highest`. False where a result is infinite or NaN, which may have
// come from a neighbour's, or where weights are so small that their transforms would lose bits.
bool forward_by_winograd(const Conv2d& p, const float* x, const float* weight, const float* bias, float* y);
bool backward_data_by_winograd(const Conv2d& p, const float* dy, const float* weight, float* dx);
bool backward_weight_by_winograd(const Conv2d& p, const float* dy, const float* x, float* dweight);

// What these cost for one image and group, in multiply-adds of one lane.
constexpr double impossible = std::numeric_limits<double>::infinity();
double forward_tiles_cost(const Conv2d& p);
double forward_lanes_cost(const Conv2d& p);
double forward_images_cost(const Conv2d& p);
double forward_bf16_cost(const Conv2d& p);
double forward_winograd_cost(const Conv2d& p);
double backward_data_tiles_cost(const Conv2d& p);
double backward_data_lanes_cost(const Conv2d& p);
double backward_data_images_cost(const Conv2d& p);
double backward_data_bf16_cost(const Conv2d& p);
double backward_data_winograd_cost(const Conv2d& p);
double backward_weight_dots_cost(const Conv2d& p);
double backward_weight_lanes_cost(const Conv2d& p);
double backward_weight_images_cost(const Conv2d& p);
double backward_weight_bf16_cost(const Conv2d& p);
double backward_weight_winograd_cost(const Conv2d& p);

// Has convolutions go this way where they can, whatever it costs; "auto": the cheapest again. For tests and benchmarks.
void set_conv_way(const std::string& name);

// Of the cheapest way.
double forward_cost(const Conv2d& p);
double backward_data_cost(const Conv2d& p);
double backward_weight_cost(const Conv2d& p);

}  // namespace dip::cpu
