// Devices, streams, graphs and arrays of the GPU, for Python.
#include "bind/runtime_device.h"

#include <pybind11/stl.h>

#include "bind/device_array.h"
#include "bind/library.h"
#include "bind/released_lock.h"
#include "cuda/gemm/costs.h"
#include "cuda/gemm/plan.h"

namespace dip::cuda {

void bind_device_runtime(pybind11::module_& m) {
  namespace py = pybind11;
  bind_device_array(m);
  bind_training(m);
  m.def("device_count", device_count);
  m.def("check_device", check_device, py::arg("device"));
  m.def("current_device", current_device);
  m.def("set_device", set_device, py::arg("device"));
  m.def("device_name", device_name, py::arg("device"));
  m.def("current_stream", [] { return reinterpret_cast<std::uintptr_t>(current_stream()); });
  m.def("stream_is_chosen", stream_is_chosen);
  m.def(
      "choose_stream",
      [](std::uintptr_t stream, bool chosen) { choose_stream(reinterpret_cast<Stream>(stream), chosen); },
      py::arg("stream"), py::arg("chosen"));
  m.def("is_on_gpu", is_on_gpu, py::arg("array"));
  m.def(
      "plan_gemm",
      [](std::int64_t rows, std::int64_t columns, std::int64_t depth, std::int64_t batches, int multiprocessors,
         bool may_split, const std::string& kind, int products) {
        const GemmPlan plan = plan_gemm(
            {
                .rows = rows,
                .columns = columns,
                .depth = depth,
                .batches = batches,
                .may_split = may_split,
                .kind = tile_kind(kind),
                .products = products,
            },
            multiprocessors);
        return std::make_tuple(name_of(plan.tile), plan.splits, plan.split_depth);
      },
      py::arg("rows"), py::arg("columns"), py::arg("depth"), py::arg("batches"), py::arg("multiprocessors"),
      py::arg("may_split"), py::arg("kind") = "warps", py::arg("products") = 0);
  m.def("take_planned_products", [] {
    using Listed = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, bool, std::string, int>;
    std::vector<Listed> taken;
    for (const PlannedProduct& p : take_planned_products()) {
      taken.emplace_back(p.rows, p.columns, p.depth, p.batches, p.may_split, name_of(p.kind), p.products);
    }
    return taken;
  });
  m.def(
      "plan_small_product",
      [](std::int64_t rows, std::int64_t columns, std::int64_t depth, int multiprocessors) {
        const GemmPlan plan = plan_small_product(rows, columns, depth, multiprocessors, 4);
        return std::make_tuple(plan.splits, plan.split_depth);
      },
      py::arg("rows"), py::arg("columns"), py::arg("depth"), py::arg("multiprocessors"));
  m.def("multiprocessors", multiprocessors);
  m.def(
      "packing_pays",
      [](std::int64_t results, std::int64_t depth, std::int64_t numbers, int products, int multiprocessors) {
        return packing_pays({results, depth, numbers, products}, multiprocessors);
      },
      py::arg("results"), py::arg("depth"), py::arg("numbers"), py::arg("products"), py::arg("multiprocessors"));
  m.def("take_packings", [] {
    std::vector<std::tuple<std::int64_t, std::int64_t, std::int64_t, int>> taken;
    for (const Packing& p : take_packings()) taken.emplace_back(p.results, p.depth, p.numbers, p.products);
    return taken;
  });
  m.def("gemm_costs", listed_gemm_costs);
  m.def("gemm_cost_names", gemm_cost_names);
  m.def("set_gemm_costs", set_gemm_costs, py::arg("costs"));
  m.def("set_gemm_tile", set_gemm_tile, py::arg("name"));
  m.def("set_float32_products", set_float32_products, py::arg("name"));
  m.def("set_warpgroups", set_warpgroups, py::arg("on"));
  m.def("synchronize", [] {
    const ReleasedLock released;
    synchronize();
  });
  m.def("open_branches", open_branches);
  m.def("join_branches", join_branches);
  m.def("set_weights_beside", set_weights_beside, py::arg("on"));
  py::class_<Graph>(m, "Graph", py::module_local())
      .def(py::init<>())
      .def("begin_capture", &Graph::begin_capture)
      .def("end_capture", &Graph::end_capture)
      .def("cancel_capture", &Graph::cancel_capture)
      .def("replay", &Graph::replay);
}

}  // namespace dip::cuda
