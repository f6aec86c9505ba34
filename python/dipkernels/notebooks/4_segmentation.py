# %% [markdown]
# # A class for every pixel
#
# A classifier says what is in an image; here the network says it of every pixel. The encoder halves the image and
# learns what there is; the decoder brings it back to its size. Where max pooling took its maxima is remembered, and
# unpooling puts them there again.

# %%
import numpy as np

from dipkernels import data, metrics, models, nn, ops, train, viz

# %% [markdown]
# ## Unpooling

# %%
x = np.float32([[[[1, 2, 0, 1], [4, 3, 1, 0], [0, 1, 7, 2], [1, 0, 3, 5]]]])
pooled, indices = ops.max_pool2d_with_indices(x, 2)
print(pooled[0, 0], "\n\n", ops.max_unpool2d(pooled, indices, 2)[0, 0], sep="")

# %% [markdown]
# ## Scenes
#
# Canvases with digits and shapes, drawn by the program, and the class of every pixel.

# %%
splits = data.scenes("masks", 64, (240, 40, 40))
splits.train

# %%
model = models.segnet(len(data.SCENE_CLASSES), (3, 64, 64), channels=(12, 24, 48), seed=0)
model

# %% [markdown]
# ## Training
#
# The loss is the cross-entropy of every pixel; most pixels are background, so the rarer classes count more.

# %%
weights = data.class_weights(splits.train.t, len(data.SCENE_CLASSES))


def loss(outputs, targets):
    """Cross-entropy with those weights, and its gradient."""
    return ops.cross_entropy_with_grad(outputs, targets, weight=weights)


history = train.fit(
    model, splits.train, loss=loss, optimizer=nn.Adam(0.004), epochs=6, batch_size=8, keep="last", progress=False
)
history

# %%
predictions = train.predict(model, splits.test.x).argmax(1)
confusion = metrics.confusion_matrix(splits.test.t, predictions, len(data.SCENE_CLASSES))
scores = metrics.segmentation_scores(confusion)
print(f"mean IoU {scores.mean_iou:.2f}, {scores.pixel_accuracy:.1%} of the pixels right")
assert scores.pixel_accuracy > 0.5

# %%
viz.segmentation(splits.test.x, predictions, data.SCENE_CLASSES, splits.test.t, most=3)
