# %% [markdown]
# # From the perceptron to the multilayer perceptron
#
# A single neuron puts a line through the plane. That is enough for two heaps of points, and not for XOR.

# %%
import warnings

import numpy as np

from dipkernels import data, models, nn, ops, train, viz

# %% [markdown]
# ## A line for two heaps
#
# Rosenblatt's rule goes from point to point, and turns the line where it is wrong. It ends when nothing is: which must
# happen where some line separates the classes.

# %%
heaps = data.toy_points("blobs", 100, noise=0.0, seed=1)
neuron = models.perceptron(2)
errors = neuron.learn(heaps.x, heaps.t.astype(np.float32))
print("wrong in each epoch:", errors)

# %%
viz.decision_plane(neuron, heaps)

# %% [markdown]
# ## No line for XOR
#
# The classes lie crosswise. The rule never ends, and says so.

# %%
xor = data.toy_points("xor", 200, noise=0.05, seed=1)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    errors = models.perceptron(2).learn(xor.x, xor.t.astype(np.float32), epochs=50)
print("of 200 points the last epoch had wrong:", errors[-1])

# %% [markdown]
# ## A hidden layer
#
# Eight neurons bend the plane first; behind them a line is enough. What is learned is no longer a rule for one neuron,
# but the gradient of a loss.

# %%
mlp = nn.Sequential((2,), nn.Linear(2, 8, activation="tanh"), nn.Linear(8, 2), seed=3)
history = train.fit(mlp, xor, optimizer=nn.Adam(0.03), epochs=60, batch_size=20, progress=False)
print(f"accuracy {train.evaluate(mlp, xor).accuracy:.1%}")

# %%
viz.decision_plane(mlp, xor)

# %%
history

# %% [markdown]
# ## Its gradient, by hand
#
# Backpropagation is the chain rule. The gradient of the loss with respect to the last layer's weights is
# (softmax(z) − t)ᵀ·h, h being what the hidden layer says:

# %%
z = mlp.forward(xor.x)
loss, dz = ops.cross_entropy_with_grad(z, xor.t)
mlp.backward(dz)
hidden = ops.tanh(ops.linear(xor.x, mlp.parameters["linear1.weight"], mlp.parameters["linear1.bias"]))
one_hot = np.eye(2, dtype=np.float32)[xor.t]
by_hand = (ops.softmax(z, 1) - one_hot).T @ hidden / len(xor)
print("largest difference:", np.abs(by_hand - mlp.gradients["linear2.weight"]).max())
assert np.allclose(by_hand, mlp.gradients["linear2.weight"], atol=1e-6)
