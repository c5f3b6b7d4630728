"""A first stage by overlapping tiles, as large as the patches that it was trained on.

Norms take statistics over all that a network sees, and convolutions see zeros beyond its faces: in a whole
volume both differ from what the training showed. Statistics over windows of a patch's size alone made whole
volumes worse (docs/training.md).

Shapes: B batch, C channels, X Y Z grid, x y z latent axes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from voxgen.models.interfaces import FirstStage


class Tiled:
    """What a first stage does with volumes of the shape `patch`, done with larger ones, tile by tile.

    Tiles start at multiples of the stage's factors, half a tile apart or less, and at the last place that
    fits. Where they overlap results are blended, with the weights of a Gaussian around a tile's middle. A
    volume of the shape `patch` is one tile: the stage alone sees it.
    """

    def __init__(self, stage: FirstStage, patch: Sequence[int]) -> None:
        self._stage = stage
        self._patch = tuple(patch)
        self._latent = tuple(n // f for n, f in zip(patch, stage.factors, strict=True))

    def encode(self, x_BCXYZ: Tensor) -> tuple[Tensor, Tensor | None]:
        """As the stage's; the spread is blended like the mean."""
        mean, *spread = self._blended(lambda tile: _given(self._stage.encode(tile)), x_BCXYZ, self._patch)
        return mean, spread[0] if spread else None

    def decode(self, z_BCxyz: Tensor) -> Tensor:
        """As the stage's."""
        (volumes,) = self._blended(lambda tile: (self._stage.decode(tile),), z_BCxyz, self._latent)
        return volumes

    def features(self, x_BCXYZ: Tensor) -> Tensor:
        """The mean of the stage's over tiles that lie side by side."""
        from monai.data.utils import dense_patch_slices  # slow to import, and few first stages need it

        tiles = dense_patch_slices(x_BCXYZ.shape[2:], self._patch, self._patch)
        seen = [self._stage.features(x_BCXYZ[(..., *tile)].contiguous()) for tile in tiles]
        return torch.stack(seen).mean(0)

    def _blended(
        self, function: Callable[[Tensor], tuple[Tensor, ...]], x_BCXYZ: Tensor, tile: tuple[int, ...]
    ) -> tuple[Tensor, ...]:
        if x_BCXYZ.shape[2:] == tile:
            return function(x_BCXYZ)
        from monai.inferers import sliding_window_inference

        steps = [max(1, latent // 2) * (n // latent) for n, latent in zip(tile, self._latent, strict=True)]
        # of which MONAI takes the whole part of tile * (1 - overlap) as the step
        overlap = [max(0.0, 1 - (step + 0.5) / n) for step, n in zip(steps, tile, strict=True)]
        blended: Any = sliding_window_inference(
            x_BCXYZ, tile, len(x_BCXYZ), function, overlap=overlap, mode="gaussian"
        )
        return (blended,) if isinstance(blended, Tensor) else tuple(blended)


def _given(outputs: tuple[Tensor, Tensor | None]) -> tuple[Tensor, ...]:
    return tuple(output for output in outputs if output is not None)
