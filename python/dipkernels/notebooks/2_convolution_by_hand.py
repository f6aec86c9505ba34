# %% [markdown]
# # Convolution by hand
#
# A filter slides over the image; at every place the numbers under it are multiplied with its own and added up.

# %%
import numpy as np

from dipkernels import ops, reference, viz

image = np.float32([[0, 0, 0, 9, 9], [0, 0, 0, 9, 9], [0, 0, 0, 9, 9], [0, 0, 0, 9, 9]])
edge = np.float32([[-1, 1]])  # answers where the image becomes lighter to the right

# %% [markdown]
# ## Four loops
#
# That is all there is to it:

# %%
height, width = image.shape[0] - edge.shape[0] + 1, image.shape[1] - edge.shape[1] + 1
by_hand = np.zeros((height, width), np.float32)
for row in range(height):
    for column in range(width):
        for r in range(edge.shape[0]):
            for s in range(edge.shape[1]):
                by_hand[row, column] += image[row + r, column + s] * edge[r, s]
print(by_hand)

# %% [markdown]
# The kernel of this package computes the same. It takes batches of images with channels, (N, C, H, W), and as many
# filters as are wanted, (K, C, F_h, F_w):

# %%
y = ops.conv2d(image[None, None], edge[None, None])
print(y.shape)
assert np.array_equal(y[0, 0], by_hand)

# %% [markdown]
# ## How large is the result?
#
# (W − F + 2P)/S + 1, for a width W, a filter of F, P zeros on each side and a stride S. Where that is no whole number
# the filter does not fit, and the package says what would:

# %%
print(ops.output_size(227, kernel_size=11, stride=4), "places, as in AlexNet's first layer")
try:
    ops.output_size(227, kernel_size=10, stride=4)
except ValueError as error:
    print(error)

# %% [markdown]
# ## Padding, stride, dilation
#
# Zeros around the image keep its size; a stride skips places; dilation spreads the filter.

# %%
photo = np.random.default_rng(0).random((1, 1, 16, 16), np.float32)
blur = np.full((1, 1, 3, 3), 1 / 9, np.float32)
for options in ({}, {"padding": 1}, {"stride": 2, "rounding": "floor"}, {"dilation": 2}):
    print(options, ops.conv2d(photo, blur, **options).shape[2:])

# %% [markdown]
# ## Pooling
#
# The largest of every 2 × 2 elements, and where it was: that is kept for the way back.

# %%
pooled, indices = ops.max_pool2d_with_indices(photo, 2)
print(pooled.shape, "and the maximum of the first window is element", indices[0, 0, 0, 0])
viz.side_by_side({"image": photo, "blurred": ops.conv2d(photo, blur, padding=1)})

# %% [markdown]
# ## The oracle
#
# Every operator has a plain NumPy version in float64, against which it is tested:

# %%
exact = reference.conv2d(photo, blur, padding=1)
print("largest error:", np.abs(ops.conv2d(photo, blur, padding=1) - exact).max())
assert np.allclose(ops.conv2d(photo, blur, padding=1), exact, atol=1e-6)
