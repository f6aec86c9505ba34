// What the ways to compute a product on the CPU take: all constants in one place. In multiply-adds of one float32 lane,
// unless a line says otherwise. `python -m bench costs` measures the ways on the machine it runs on, and prints how far
// what these choose is from the best, and constants that fit better.
#pragma once

#include <string>
#include <vector>

namespace dip::cpu {

// Measured on two cores of a Zen 4.
struct Costs {
  // Tiles: a multiply-add; what a result takes besides, in steps of the depth, of padded copies of the planes and of
  // the planes themselves; how much more a packed column is; what a tile's columns take to be packed, in cycles for
  // each run of them and for a tile of one panel.
  double tiles_product = 1.08, tiles_result = 14.0, tiles_in_place = 5.0, tiles_packed = 1.2, tiles_run = 3.0,
         tiles_panel = 12.0;
  // Lanes: how much slower a single panel of rows is; what fetching a line of the source takes, divided by the taps it
  // serves; a result, which is transposed, and a number of dy, which is copied, in steps of the depth.
  double lanes_single = 1.07, lanes_fetch = 0.25, lanes_result = 28.0, lanes_copy = 34.0;
  // Dots: a multiply-add, of copies of the planes and of the planes themselves.
  double dots_product = 2.2, dots_in_place = 1.3;
  // Images: a multiply-add; a number that is moved between images and vectors; a sum that is added to in memory; a
  // vector from beyond the second-level cache.
  double images_product = 1.05, images_move = 7.0, images_sum = 4.0, images_distance = 4.0;
  // bfloat16: a number of the source that is packed, and how much more where it is gathered; one of the weights; a
  // result that is brought to its place.
  double bf16_source = 30.0, bf16_gather = 2.0, bf16_weight = 24.0, bf16_result = 12.0;
  // Winograd: what a tile takes of a channel to be transformed, and of a filter; a weight; a product; a sum that is
  // added to in memory; and the call.
  double winograd_input = 450.0, winograd_output = 325.0, winograd_weight = 450.0, winograd_product = 1.45,
         winograd_sum = 8.0, winograd_call = 3e6;
  // Clips whose frames do not lie as images: a number that is copied.
  double clips_copy = 10.0;
  // Max pooling, for each of the convolution's results: in vectors of images at hand, and as an operator of its own.
  double pool_fused = 2.0, pool_alone = 20.0;
  // Linear layers out of bfloat16 products: a number that is packed, and the part of it that one takes where no matrix
  // is transposed meanwhile; a result; and a multiply-add in float32.
  double linear_pack = 8.0, linear_rows = 0.7, linear_result = 10.0, linear_float32 = 1.2;
};

const Costs& costs();

// For the fit: all numbers in their order, and what they are called.
std::vector<double> listed_costs();
std::vector<std::string> cost_names();
void set_costs(const std::vector<double>& given);  // ValueError for another number of them

}  // namespace dip::cpu
