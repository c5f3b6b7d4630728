"""Ways between latents."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

PARALLEL = 1e-6  # sine of an angle below which two latents point the same way


def spherical(a: NDArray[Any], b: NDArray[Any], share: float) -> NDArray[Any]:
    """The latent at `share` of the way from `a` to `b`, along an arc: 0 is `a`, 1 is `b`.

    sin((1 - s) w) / sin(w) a + sin(s w) / sin(w) b, with the angle w between them: Shoemake, Animating
    rotation with quaternion curves (SIGGRAPH 1985), on latents as by White, arXiv 1609.04468. Whitened
    latents lie near a sphere, inside which a straight line would pass; it is taken where they are parallel.
    """
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    cosine = float(np.vdot(a, b)) / length if length else 1.0
    angle = float(np.arccos(np.clip(cosine, -1, 1)))
    if np.sin(angle) < PARALLEL:
        return (1 - share) * a + share * b
    weights = np.sin([(1 - share) * angle, share * angle]) / np.sin(angle)
    return np.asarray(weights[0] * a + weights[1] * b, dtype=a.dtype)
