"""A discriminator between volumes and reconstructions, which judges patches of them.

Shapes: B batch, C channels, X Y Z grid, P patches.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from voxgen.models.layers.folding import folded

Whole = Sequence[int | None]  # along x, y, z: the voxels of an axis that is folded whole, None of others


class Discriminator(nn.Module):
    """MONAI's `PatchDiscriminator` (Isola et al., arXiv 1611.07004), or several at several scales.

    It is trained by least squares (Mao et al., arXiv 1611.04076) to give 1 for a patch of a volume and 0 for
    one of a reconstruction. Axes that the autoencoder folds whole are channels here too, so that a thin axis
    limits no number of layers. Norms see one item alone: micro-batches give the gradient of a whole batch.
    """

    def __init__(self, settings: Mapping[str, Any], whole: Whole) -> None:
        super().__init__()
        from monai.losses import PatchAdversarialLoss  # slow to import, and few trainings need it
        from monai.networks.nets import MultiScalePatchDiscriminator, PatchDiscriminator

        self._box = [size or 1 for size in whole]
        self._folded = [axis + 2 for axis, size in enumerate(whole) if size is not None]
        norms = {"instance": "INSTANCE", "group": ("GROUP", {"num_groups": settings["channels"]})}
        shared = {
            "spatial_dims": 3 - len(self._folded),
            "in_channels": math.prod(self._box),
            "channels": settings["channels"],
            "num_layers_d": settings["layers"],
            "norm": norms[settings["norm"]],
            "last_conv_kernel_size": 4,
        }
        self._scales = settings["scales"]
        if self._scales == 1:
            self.network = PatchDiscriminator(**shared)
        else:
            size = 2 ** (self._scales * settings["layers"])  # the least for MONAI; settings know volumes
            self.network = MultiScalePatchDiscriminator(num_d=self._scales, minimum_size_im=size, **shared)
        self._loss = PatchAdversarialLoss(criterion="least_squares", no_activation_leastsq=True)

    def forward(self, x_BCXYZ: Tensor) -> list[Tensor]:
        """What it makes of the patches of volumes (B, 1, X, Y, Z): a map (B, 1, ...) for each scale."""
        # in fp32: oneDNN's bf16 gradients of small convolutions are wrong (layers/convolutions.py)
        with torch.autocast(x_BCXYZ.device.type, enabled=False):
            seen: Tensor = folded(x_BCXYZ.float(), self._box)
            outputs: Any = self.network(seen.squeeze(self._folded))
        return [outputs[-1]] if self._scales == 1 else list(outputs[0])

    def objection(self, r_BCXYZ: Tensor) -> Tensor:
        """The term of the autoencoder: mean (D(r) - 1)^2, 0 where it takes reconstructions for volumes."""
        objection: Tensor = self._loss(self(r_BCXYZ), target_is_real=True, for_discriminator=False)
        return objection

    def figures(self, r_BCXYZ: Tensor, x_BCXYZ: Tensor) -> dict[str, Tensor]:
        """Its own loss, (mean (D(x) - 1)^2 + mean D(r)^2) / 2, and its mean outputs on both."""
        on_volumes, on_reconstructions = self(x_BCXYZ), self(r_BCXYZ)
        real = self._loss(on_volumes, target_is_real=True, for_discriminator=True)
        made = self._loss(on_reconstructions, target_is_real=False, for_discriminator=True)
        return {
            "loss": (real + made) / 2,
            "on_volumes": _mean(on_volumes),
            "on_reconstructions": _mean(on_reconstructions),
        }


def _mean(maps: Sequence[Tensor]) -> Tensor:
    return torch.stack([each.detach().mean() for each in maps]).mean()
