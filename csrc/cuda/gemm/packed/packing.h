// How convolutions are packed: x and dy with the channels of a position side by side, weights with those of a tap,
// float32 split into parts of bfloat16. What lies so already, 1×1 images and weights of 16 bits, is read in place. Few
// channels, as photographs have, are joined by their neighbours in the row.
#pragma once

#include "cuda/gemm/packed/numbers.h"
#include "cuda/gemm/packed/operand.h"

namespace dip::cuda {

// With the channels and filters of every group filled up.
Conv2d with_whole_octets(Conv2d p);

// The same convolution of an x whose rows are unfolded: the taps of a row are channels, and a row has as many positions
// as the result. Where channels are too few for an octet that fills it; elsewhere p itself.
Conv2d with_rows_unfolded(Conv2d p);

// As many images of groups × channels planes.
Packed pack_images(PackedAs number, std::int64_t images, std::int64_t groups, std::int64_t channels,
                   std::int64_t image_plane, const void* from);

// x as the convolution `unfolded`, with_rows_unfolded(p), takes it.
Packed pack_x(PackedAs number, const Conv2d& p, const Conv2d& unfolded, const void* x);

// dy as the gradients take it.
Packed pack_dy(PackedAs number, const Conv2d& p, const void* dy);

// `folded`: how many neighbours in the row are channels.
Packed pack_weights(PackedAs number, const Conv2d& p, const void* weight, std::int64_t folded);

}  // namespace dip::cuda
