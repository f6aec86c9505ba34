# %% [markdown]
# # An operator of your own
#
# A layer is three functions: `forward`, `backward` and `output_shape`. This one is the swish, x·σ(x), which the package
# does not have, with a slope β that is learned. How a hand-written kernel for CPU and GPU is added, the README says.

# %%
import numpy as np

from dipkernels import data, nn, ops, train


# %%
class Swish(nn.Layer):
    """y = x·σ(β·x), with one β that is trained."""

    def __init__(self):
        super().__init__()
        self.parameters["beta"] = np.ones(1, np.float32)

    def initialize(self, rng, initializer="he_normal"):
        """β begins with 1."""
        self.parameters["beta"][...] = 1

    def forward(self, *inputs, training=False):
        """Keeps what `backward` will need."""
        (self._x,) = inputs
        self._gate = ops.sigmoid(self._x * self.parameters["beta"])
        return self._x * self._gate

    def backward(self, dy, *, input_gradient=True):
        """dy/dx = σ + β·x·σ·(1 − σ), dy/dβ = x²·σ·(1 − σ)."""
        slope = self._gate * (1 - self._gate)
        self.gradients["beta"] = np.array([np.sum(dy * self._x**2 * slope)], np.float32)
        return (dy * (self._gate + self.parameters["beta"] * self._x * slope),)

    def output_shape(self, *shapes):
        """As it comes, so it goes."""
        return shapes[0]


# %% [markdown]
# ## Is the gradient right?
#
# Ask the definition: change a number by a little, and see what the result does.

# %%
rng = np.random.default_rng(0)
x, dy = rng.standard_normal((2, 3, 5)).astype(np.float32)
model = nn.Sequential((5,), Swish())
model.forward(x)
found = model.backward(dy, input_gradient=True)
step = 1e-2
expected = np.zeros_like(x)
for place in np.ndindex(x.shape):
    more, less = x.copy(), x.copy()
    more[place] += step
    less[place] -= step
    expected[place] = np.sum(dy * (model.forward(more) - model.forward(less))) / (2 * step)
print("largest difference:", np.abs(found - expected).max())
assert np.allclose(found, expected, atol=1e-3)

# %% [markdown]
# ## In a network
#
# It is a layer like all others: optimizers train its β, `summary` counts it, `save_state` keeps it.

# %%
splits = data.digits(seed=0)
network = nn.Sequential(
    (1, 32, 32),
    nn.Conv2d(1, 8, 5),
    Swish(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(8 * 14 * 14, 10),
)
train.fit(network, splits, optimizer=nn.Adam(0.002), epochs=3, progress=False)
print(f"{train.evaluate(network, splits.test).accuracy:.1%} right, β = {network.parameters['swish1.beta'][0]:.2f}")
network
