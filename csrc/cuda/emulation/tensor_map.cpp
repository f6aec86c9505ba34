// The copy unit of Hopper: which numbers a box has, and where in shared memory they go.
#include "cuda/gemm/tensor_map.h"

#include <stdexcept>

#include "cuda/emulation/device.h"

namespace dip {
namespace {

constexpr int line = 64;  // numbers

// What a TensorMap holds here.
struct Map {
  const std::uint16_t* data;
  std::int32_t sizes[4];
  std::int32_t axis, lines;                  // of boxes of lines: the axis of these
  std::int32_t first[2], step[2], count[2];  // of boxes of positions: along w and h
};
static_assert(sizeof(Map) <= sizeof(cuda::TensorMap));

cuda::TensorMap pack(const Map& map) {
  cuda::TensorMap packed{};
  std::memcpy(&packed, &map, sizeof map);
  return packed;
}

Map unpack(const cuda::TensorMap& packed) {
  Map map;
  std::memcpy(&map, &packed, sizeof map);
  return map;
}

Map make_map(const std::uint16_t* data, const cuda::MapSizes& sizes, int axis, int lines) {
  emulation::check_aligned(data, 16);
  if (sizes[0] % 8 != 0) throw std::logic_error("a mapped array has lines of whole octets");
  Map map{};
  map.data = data;
  for (int i = 0; i < 4; ++i) map.sizes[i] = static_cast<std::int32_t>(sizes[i]);
  map.axis = axis;
  map.lines = lines;
  return map;
}

// Writes the line that begins there, zeros where it lies outside; its octets are permuted.
void put_line(const Map& map, const std::array<int, 4>& from, int which, std::vector<char>& box) {
  bool inside = true;
  std::int64_t offset = 0;
  for (int axis = 3; axis > 0; --axis) {
    inside = inside && from[axis] >= 0 && from[axis] < map.sizes[axis];
    offset = (offset + from[axis]) * map.sizes[axis - 1];
  }
  for (int i = 0; i < line; ++i) {
    const int at = from[0] + i;
    const std::uint16_t number = inside && at >= 0 && at < map.sizes[0] ? map.data[offset + at] : 0;
    const int place = which * 128 + (i / 8 ^ which % 8) * 16 + i % 8 * 2;
    std::memcpy(box.data() + place, &number, sizeof number);
  }
}

}  // namespace

namespace cuda {

TensorMap map_lines(const std::uint16_t* data, const MapSizes& sizes, int axis, int lines) {
  return pack(make_map(data, sizes, axis, lines));
}

TensorMap map_positions(const std::uint16_t* data, const MapSizes& sizes, MapAxis w, MapAxis h, int lines) {
  Map map = make_map(data, sizes, 0, lines);
  const MapAxis axes[] = {w, h};
  for (int i = 0; i < 2; ++i) {
    map.first[i] = axes[i].first;
    map.step[i] = axes[i].step;
    map.count[i] = axes[i].count;
  }
  return pack(map);
}

bool can_map(MapAxis axis, std::int64_t, std::int64_t most_offset) {
  return axis.step <= 8 && most_offset < 256;
}

bool can_map(std::int64_t) {
  return true;
}

}  // namespace cuda

namespace emulation {

void copy_lines_async(Shared<std::uint16_t> to, const cuda::TensorMap& packed, Shared<PhaseBarrier> barrier,
                      const std::array<int, 4>& from) {
  const Map map = unpack(packed);
  std::vector<char> box(static_cast<std::size_t>(map.lines) * line * 2);
  std::array<int, 4> at = from;
  for (int which = 0; which < map.lines; ++which, ++at[map.axis]) put_line(map, at, which, box);
  begin_delivery(to, std::move(box), barrier);
}

void copy_positions_async(Shared<std::uint16_t> to, const cuda::TensorMap& packed, Shared<PhaseBarrier> barrier,
                          const std::array<int, 4>& from, const std::array<int, 2>& offset) {
  const Map map = unpack(packed);
  std::vector<char> box(static_cast<std::size_t>(map.lines) * line * 2);
  int which_of[2];
  for (int i = 0; i < 2; ++i) {
    which_of[i] = (from[i + 1] - map.first[i]) / map.step[i];
    if (which_of[i] < 0 || which_of[i] >= map.count[i] || map.first[i] + which_of[i] * map.step[i] != from[i + 1]) {
      throw std::logic_error("a box begins at none of the positions of its map");
    }
    if (offset[i] < 0 || offset[i] > 255) throw std::logic_error("an offset is from 0 to 255");
  }
  int image = from[3];
  for (int which = 0; which < map.lines; ++which) {
    const auto position = [&](int i) { return map.first[i] + which_of[i] * map.step[i] + offset[i]; };
    put_line(map, {from[0], position(0), position(1), image}, which, box);
    if (++which_of[0] < map.count[0]) continue;
    which_of[0] = 0;
    if (++which_of[1] < map.count[1]) continue;
    which_of[1] = 0;
    ++image;
  }
  begin_delivery(to, std::move(box), barrier);
}

}  // namespace emulation
}  // namespace dip
