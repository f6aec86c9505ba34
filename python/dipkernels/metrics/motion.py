"""How well the movement of objects is estimated."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dipkernels.checks import array, checked


@checked(found=array("NCHW"), t=array("NCHW"))
def velocity_errors(found: npt.NDArray[Any], t: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """By how many pixels a frame each object's velocity is wrong: the length of the difference of its true velocity and
    the mean of what is found over its pixels. One number for each object of all clips, in order.

    Parameters
    ----------
    found : (N, 2, H, W)
        (v_y, v_x) for every pixel, as `models.MotionNet` gives it.
    t : (N, 3, H, W)
        v_y, v_x and the number of the object there, 0 for none, as `data.moving_digits(targets="velocity")` gives it.

    Raises ValueError where the shapes do not fit.

    >>> t = np.zeros((1, 3, 2, 2)); t[0, :, 0, 0] = 3, 4, 1
    >>> velocity_errors(np.zeros((1, 2, 2, 2)), t)
    array([5.])
    """
    found, t = np.asarray(found, np.float64), np.asarray(t, np.float64)
    if t.ndim != 4 or t.shape[1] != 3 or found.shape != (len(t), 2, *t.shape[2:]):
        raise ValueError(
            f"velocity_errors: found must be (N, 2, H, W) and t (N, 3, H, W), got shapes {found.shape} and {t.shape}"
        )
    errors = []
    for velocities, target in zip(found, t, strict=True):
        for number in np.unique(target[2][target[2] > 0]):
            inside = target[2] == number
            difference = velocities[:, inside].mean(1) - target[:2, inside].mean(1)
            errors.append(float(np.hypot(*difference)))
    return np.array(errors)
