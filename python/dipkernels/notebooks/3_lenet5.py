# %% [markdown]
# # LeNet-5
#
# Convolution, pooling, convolution, pooling, and three dense layers: the network that reads digits. It learns 1,797 of
# them, which come with scikit-learn, in some seconds.

# %%
from dipkernels import data, models, nn, ops, train, viz

splits = data.digits()
splits.train

# %%
model = models.lenet5(seed=0)
model

# %% [markdown]
# ## Training
#
# Small random turns and shifts of the digits make more of the few there are.

# %%
history = train.fit(
    model, splits, optimizer=nn.Adam(0.002), epochs=8, augment=data.AffineAugmentation(), progress=False
)
history

# %%
result = train.evaluate(model, splits.test)
print(f"{result.accuracy:.1%} of {len(splits.test)} digits it never saw")
assert result.accuracy > 0.85

# %% [markdown]
# ## Where it is wrong

# %%
probabilities = ops.softmax(train.predict(model, splits.test.x), 1)
viz.confusion_matrix(splits.test.t, probabilities.argmax(1), 10)

# %%
viz.worst_mistakes(splits.test.x, splits.test.t, probabilities)

# %% [markdown]
# ## What it looks for, and what decides
#
# The six filters of the first layer, and what in a digit the guess hangs on: by the gradient of its logit, and by
# hiding a part of the image.

# %%
viz.first_layer_filters(model.parameters["conv1.weight"])

# %%
viz.saliency(model, splits.test.x[3])

# %% [markdown]
# ## Every layer
#
# After `forward` a network still has what every node held:

# %%
model.forward(splits.test.x[3:4])
for name in model.order:
    print(f"{name:8} {model.value(name).shape[1:]}")
