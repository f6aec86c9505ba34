// Arrays of 16-bit numbers as Hopper's copy unit knows them (TMA): it brings boxes of them, lines of 64 numbers, to
// shared memory in the order of SharedMatrix (cuda/device.h), with zeros for all that lies outside the array.
#pragma once

#include <array>
#include <cstdint>

namespace dip::cuda {

// A CUtensorMap, a parameter of kernels.
struct alignas(128) TensorMap {
  std::uint64_t words[16];
};

// Of an array without gaps, the axis of neighbours first.
using MapSizes = std::array<std::int64_t, 4>;

// Boxes of so many lines along one of the axes.
TensorMap map_lines(const std::uint16_t* data, const MapSizes& sizes, int axis, int lines);

// Of the positions along an axis of images those that a box steps through: `count` of them, and then on to the next row
// or image. A copy moves all of them by an offset.
struct MapAxis {
  int first, step, count;
};

// Boxes of so many lines: the channels of positions, one after the other, of images (channels, width, height, images).
TensorMap map_positions(const std::uint16_t* data, const MapSizes& sizes, MapAxis w, MapAxis h, int lines);

// What a map can say.
bool can_map(MapAxis axis, std::int64_t size, std::int64_t most_offset);
bool can_map(std::int64_t bytes);

}  // namespace dip::cuda
