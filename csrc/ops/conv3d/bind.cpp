// conv3d and its gradients: arguments are checked as those of conv2d are.
#include "ops/conv/bind.h"
#include "bind/families.h"
#include "ops/conv3d/conv3d.h"

namespace dip {
namespace {

struct OfClips {
  static constexpr const char *name = "conv3d", *x = "NCDHW", *y = "NKDHW", *weight = "KCDHW";
  static constexpr const char *x_size = "(N, C, D, H, W)", *weight_size = "(K, C, D, H, W)";
  static constexpr auto forward = backend::conv3d_forward;
  static constexpr auto backward_data = backend::conv3d_backward_data;
  static constexpr auto backward_weight = backend::conv3d_backward_weight;
  static constexpr auto choice = backend::conv3d_choice;
  static constexpr auto make_call = make_conv3d_call;
  static Conv2d& of_frames(Conv3d& p) { return p.frame; }
};

}  // namespace

void bind_conv3d(py::module_& m) {
  conv_functions::bind_convolution<OfClips>(m);
}

}  // namespace dip
