#include <optional>

#include "cuda/device.h"
#include "cuda/half.h"
#include "cuda/window.h"
#include "ops/conv3d/by_frames.h"

namespace dip::cuda {
namespace {

// Blocks, as the kernel takes them: counted in what it moves at once.
template <class Index>
struct BlocksOf {
  Index block, count[4], from[4], to[4];

  BlocksOf(const Blocks& p, int together) : block(static_cast<Index>(p.block / together)) {
    for (int axis = 0; axis < 4; ++axis) {
      count[axis] = static_cast<Index>(p.count[axis]);
      from[axis] = static_cast<Index>(p.from[axis] / together);
      to[axis] = static_cast<Index>(p.to[axis] / together);
    }
  }
};

template <class Index, class Bits>
__global__ void copy_blocks_kernel(BlocksOf<Index> p, Index count, const Bits* from, Bits* to) {
  struct Taken {
    Bits bits;
    Index place;
  };
  stream_elements(
      static_cast<Index>(first_element()), count, static_cast<Index>(element_step()),
      [&](Index i) {
        Index rest = i / p.block, first = i % p.block, place = first;
#pragma unroll
        for (int axis = 3; axis >= 0; --axis) {
          const Index at = axis > 0 ? rest % p.count[axis] : rest;
          rest /= p.count[axis];
          first += at * p.from[axis];
          place += at * p.to[axis];
        }
        return Taken{from[first], place};
      },
      [=](Index, Taken taken) { to[taken.place] = taken.bits; });
}

// How many numbers of so many bytes lie side by side in all blocks of both arrays, from a multiple of as many bytes on;
// of up to 16 bytes.
int side_by_side(const Blocks& p, const void* from, const void* to, int bytes) {
  for (int together = 16 / bytes; together > 1; together /= 2) {
    const auto divides = [&](std::int64_t n) { return n % together == 0; };
    bool fits = divides(p.block);
    for (int axis = 0; axis < 4; ++axis) fits = fits && divides(p.from[axis]) && divides(p.to[axis]);
    for (const void* array : {from, to}) {
      fits = fits && reinterpret_cast<std::uintptr_t>(array) % static_cast<std::uintptr_t>(together * bytes) == 0;
    }
    if (fits) return together;
  }
  return 1;
}

template <class Bits>
void copy_blocks(const Blocks& p, int together, const void* from, void* to) {
  std::int64_t furthest = p.numbers();
  for (const auto* distances : {&p.from, &p.to}) {
    std::int64_t reach = p.block;
    for (int axis = 0; axis < 4; ++axis) reach += (p.count[axis] - 1) * std::abs((*distances)[axis]);
    furthest = std::max(furthest, reach);
  }
  with_index(furthest < (std::int64_t{1} << 30), [&](auto index) {
    using Index = decltype(index);
    const std::int64_t count = p.numbers() / together;
    launch_stream(copy_blocks_kernel<Index, Bits>, count, BlocksOf<Index>(p, together), static_cast<Index>(count),
                  static_cast<const Bits*>(from), static_cast<Bits*>(to));
  });
}

struct Memory {
  static constexpr std::int64_t numbers_at_once = 64 << 20;

  class Scratch {
   public:
    Scratch(Serves, std::int64_t count, Reals like)
        : memory_(static_cast<std::size_t>(count * size_of(like.dtype))), dtype_(like.dtype) {}
    RealResults results() const { return {memory_.data(), dtype_}; }
    Reals reals() const { return {memory_.data(), dtype_}; }

   private:
    DeviceMemory memory_;
    DType dtype_;
  };

  static Reals at(Reals array, std::int64_t i) {
    return {static_cast<const char*>(array.data) + i * size_of(array.dtype), array.dtype};
  }
  static RealResults at(RealResults array, std::int64_t i) {
    return {static_cast<char*>(array.data) + i * size_of(array.dtype), array.dtype};
  }

  static void zero(RealResults to, std::int64_t count) {
    fill_zero(to.data, static_cast<std::size_t>(count * size_of(to.dtype)));
  }

  static void copy(const Blocks& p, Reals from, RealResults to) {
    const int bytes = static_cast<int>(size_of(from.dtype));
    const int together = side_by_side(p, from.data, to.data, bytes);
    switch (together * bytes) {
      case 16: return copy_blocks<Octet>(p, together, from.data, to.data);
      case 8: return copy_blocks<std::uint64_t>(p, together, from.data, to.data);
      case 4: return copy_blocks<std::uint32_t>(p, together, from.data, to.data);
      default: return copy_blocks<std::uint16_t>(p, together, from.data, to.data);
    }
  }
};

}  // namespace

void conv3d_forward(const Conv3d& p, Reals x, Reals weight, Reals bias, RealResults y) {
  forward_by_frames<Memory>(p, x, weight, bias, y);
}

void conv3d_backward_data(const Conv3d& p, Reals dy, Reals weight, RealResults dx) {
  backward_data_by_frames<Memory>(p, dy, weight, dx);
}

void conv3d_backward_weight(const Conv3d& p, Reals dy, Reals x, RealResults dweight) {
  const Beside beside;
  backward_weight_by_frames<Memory>(p, dy, x, dweight);
}

std::string conv3d_choice(const std::string& op, const Conv3d& p) {
  return choice_by_frames(op, p);
}

}  // namespace dip::cuda
