#include "ops/conv/cpu/lanes/tasks.h"

#include <algorithm>

#include "cpu/scratch.h"
#include "ops/conv/cpu/ways.h"

namespace dip::cpu {
namespace {

using std::int64_t;

// Packs of some rows, whole panels but for the last, the columns of one step.
void pack_step(const LaneMatrix& m, int64_t group, int64_t row, int64_t row_end, int64_t number, float* packed) {
  const PackingKernels& kernels = packing_kernels();
  const int64_t of_time = m.depth() / m.times, column = number * m.step;
  for (; row < row_end; row += kernels.lanes, packed += m.panel()) {
    for (int64_t begin = column; begin < m.depth(); begin += of_time) {
      kernels.pack_lanes(m.first + group * m.group_stride + row * m.row_stride, m.row_stride, m.columns.data() + begin,
                         std::min(kernels.lanes, row_end - row), std::min(m.step, of_time - column),
                         packed + begin * kernels.lanes);
    }
  }
}

void pack_matrix(const LaneMatrix& m, float* packed) {
  parallel_ranges(m.groups * m.steps(), divide_up(256, m.step), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      pack_step(m, i / m.steps(), 0, m.rows, i % m.steps(), packed + i / m.steps() * m.packed_group());
    }
  });
}

// The products of all phases together.
struct LaneWork {
  int64_t packed_floats = 0, positions = 0;
  double depth_of_positions = 0.0;

  explicit LaneWork(const std::vector<LanePhase>& phases) {
    for (const LanePhase& phase : phases) {
      packed_floats += phase.packed_floats();
      for (const LaneBatch& batch : phase.batches) {
        const LaneProduct& p = batch.product;
        const int64_t some = batch.images * phase.grid_h * p.grid_w;
        positions += some;
        depth_of_positions += static_cast<double>(some) * static_cast<double>(p.channels * p.tap_rows * p.tap_columns);
      }
    }
  }

  int64_t depth() const { return static_cast<int64_t>(depth_of_positions / static_cast<double>(positions)); }
};

// Whether each task packs what it needs: of large matrices that serve few positions. To write them to memory and read
// them again would take up to a fifth of the time of the products.
bool packs_in_tasks(const LaneMatrix& matrix, const LaneWork& work) {
  constexpr int64_t large = 1 << 20, few = 2048;
  return work.packed_floats >= large && work.positions <= few && matrix.groups * matrix.pairs() >= 4 * num_threads();
}

// The products of two panels of the matrices and all images a task.
void run_packing_tasks(const std::vector<LanePhase>& phases, const LaneGroups& groups) {
  const LaneKernels& kernels = lane_kernels();
  const LaneMatrix& any = phases[0].matrix;
  const int64_t rows = any.rows, two_panels = LaneMatrix::two_panels(), pairs = any.pairs();
  parallel_for(any.groups * pairs, [&](int64_t task) {
    const int64_t g = task / pairs, row = task % pairs * two_panels, row_end = std::min(rows, row + two_panels);
    static thread_local Scratch panels_scratch;
    for (const LanePhase& phase : phases) {
      const LaneMatrix& matrix = phase.matrix;
      float* packed = panels_scratch.floats(2 * matrix.panel());
      for (int64_t i = 0; i < matrix.steps(); ++i) pack_step(matrix, g, row, row_end, i, packed);
      for (const LaneBatch& batch : phase.batches) {
        LaneProduct all = batch.product;
        all.packed = packed + batch.first_tap;
        all.source += g * groups.source;
        all.out += g * groups.out + row * all.out_plane;
        if (all.bias) all.bias += g * rows + row;
        all.images = batch.images;
        kernels.product(all, 0, row_end - row, 0, phase.grid_h);
      }
    }
  });
}

// Packs the matrices of all phases, one after the other.
std::vector<const float*> pack_all(const std::vector<LanePhase>& phases, float* packed) {
  std::vector<const float*> matrices;
  for (const LanePhase& phase : phases) {
    pack_matrix(phase.matrix, packed);
    matrices.push_back(packed);
    packed += phase.packed_floats();
  }
  return matrices;
}

}  // namespace

// Runs the products of all images and groups. A task uses two panels of the matrices for so many images that reading
// the panels from memory does not count; neighbouring tasks read the same images. It computes all phases of its
// results, each of which writes a part of every line, while these are in the cache.
void run_lane_products(const std::vector<LanePhase>& phases, const LaneGroups& groups) {
  const LaneWork work(phases);
  if (work.positions == 0) return;
  const LaneKernels& kernels = lane_kernels();
  const LaneMatrix& any = phases[0].matrix;
  const int64_t rows = any.rows, two_panels = LaneMatrix::two_panels(), pairs = any.pairs();
  if (packs_in_tasks(any, work)) return run_packing_tasks(phases, groups);
  static thread_local Scratch packed_scratch;
  const std::vector<const float*> matrices = pack_all(phases, packed_scratch.floats(work.packed_floats));
  const int64_t wanted = divide_up(pieces_of(work.positions * any.groups * rows, work.depth()),
                                   any.groups * pairs * static_cast<int64_t>(phases[0].batches.size()));

  // How each batch is cut: tasks [first_task, …) take `image_step` images and one of the pieces of the grid's rows.
  struct Cut {
    int64_t first_task, image_step, grid_pieces;
  };
  constexpr int64_t kept = 1 << 17;  // floats of results that stay in a core's cache from phase to phase
  std::vector<Cut> cuts;
  int64_t tasks = 0;
  for (std::size_t b = 0; b < phases[0].batches.size(); ++b) {
    const int64_t count = phases[0].batches[b].images, image_floats = phases[0].batches[b].image_floats;
    int64_t panel_floats = 0, out_floats = 0, grid_h = 1;
    for (const LanePhase& phase : phases) {
      const LaneProduct& p = phase.batches[b].product;
      panel_floats += two_panels * p.channels * p.tap_rows * p.tap_columns;
      out_floats += two_panels * phase.grid_h * p.grid_w;
      grid_h = std::max(grid_h, phase.grid_h);
    }
    const int64_t amortized = divide_up(std::max<int64_t>(panel_floats, 1 << 17), image_floats);
    const int64_t most = phases.size() == 1 ? amortized : std::min(amortized, divide_up(kept, out_floats));
    const int64_t image_step = std::min(divide_up(count, std::min(count, wanted)), most);
    const int64_t image_pieces = divide_up(count, image_step);
    const int64_t grid_pieces = std::min(grid_h, divide_up(wanted, image_pieces));
    cuts.push_back({tasks, image_step, grid_pieces});
    tasks += any.groups * pairs * image_pieces * grid_pieces;
  }
  parallel_for(tasks, [&](int64_t task) {
    const auto after = std::upper_bound(cuts.begin(), cuts.end(), task,
                                        [](int64_t at, const Cut& cut) { return at < cut.first_task; });
    const Cut& cut = after[-1];
    const int64_t of_batch = task - cut.first_task;
    const int64_t pair = of_batch % pairs, g = of_batch / pairs % any.groups;
    const int64_t piece = of_batch / pairs / any.groups % cut.grid_pieces;
    const int64_t first = of_batch / pairs / any.groups / cut.grid_pieces * cut.image_step;
    for (std::size_t i = 0; i < phases.size(); ++i) {
      const LanePhase& phase = phases[i];
      const LaneBatch& batch = phase.batches[after - cuts.begin() - 1];
      LaneProduct some = batch.product;
      some.packed = matrices[i] + g * phase.matrix.packed_group() + batch.first_tap;
      some.source += g * groups.source + first * some.source_image;
      some.out += g * groups.out + first * some.out_image;
      if (some.bias) some.bias += g * rows;
      some.images = std::min(batch.images - first, cut.image_step);
      kernels.product(some, pair * two_panels, std::min(rows, (pair + 1) * two_panels),
                      piece * phase.grid_h / cut.grid_pieces, (piece + 1) * phase.grid_h / cut.grid_pieces);
    }
  });
}

}  // namespace dip::cpu
