"""The autoencoder's network and its loss.

Shapes: B batch, C channels, X Y Z grid or latent axes.
"""

from collections.abc import Mapping
from typing import Any

from monai.networks.nets import AutoencoderKL
from torch import Tensor

from voxgen.models.objective import Objective

DEAD = 0.01  # nats per element: a latent channel that tells less than this is dead


def build_autoencoder(network: dict[str, Any]) -> AutoencoderKL:
    """MONAI's AutoencoderKL from the `network` section of a config (see settings)."""
    attends = network["attention_levels"][-1]
    return AutoencoderKL(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        channels=network["channels"],
        num_res_blocks=network["res_blocks"],
        attention_levels=network["attention_levels"],
        latent_channels=network["latent_channels"],
        norm_num_groups=network["norm_groups"],
        with_encoder_nonlocal_attn=attends,
        with_decoder_nonlocal_attn=attends,
        use_flash_attention=True,
    )


class AutoencoderObjective(Objective):
    """Weighted L1 of the reconstruction plus the KL divergence to N(0, 1) per latent element.

    A voxel of intensity x weighs 1 + (foreground_weight - 1) * min(max(x, 0), 1). The KL divergence is
    eq. 10 of Kingma and Welling, Auto-Encoding Variational Bayes (arXiv 1312.6114), averaged.
    """

    def __init__(self, model: AutoencoderKL, foreground_weight: float, kl_weight: float) -> None:
        super().__init__()
        self.model = model
        self.foreground_weight = foreground_weight
        self.kl_weight = kl_weight

    def forward(self, x_BCXYZ: Tensor, noise_BCXYZ: Tensor) -> dict[str, Tensor]:
        """Loss and its parts for volumes (B, 1, X, Y, Z) and the noise of the posterior draw."""
        mean, std = self.model.encode(x_BCXYZ)
        reconstruction = self.model.decode(mean + std * noise_BCXYZ).float()
        weight = 1 + (self.foreground_weight - 1) * x_BCXYZ.clamp(0, 1)
        l1 = (weight * (reconstruction - x_BCXYZ).abs()).mean()
        mean, variance = mean.float(), std.float().square()
        kl_C = 0.5 * (mean.square() + variance - 1 - variance.log()).mean((0, 2, 3, 4))
        kl = kl_C.mean()
        figures = {"loss": l1 + self.kl_weight * kl, "l1": l1, "kl": kl}
        if not self.training:
            figures |= {f"kl_{channel}": value for channel, value in enumerate(kl_C)}
        return figures

    def health(self, figures: Mapping[str, float]) -> tuple[dict[str, float], list[str]]:
        """The number of dead latent channels, and which they are."""
        channels = {name: value for name, value in figures.items() if name.startswith("kl_")}
        dead = {name: value for name, value in channels.items() if value < DEAD}
        warnings = [
            f"latent channel {name.removeprefix('kl_')} is dead: KL divergence {value:.2g} nats per element; "
            "lower kl_weight or latent_channels if it stays so"
            for name, value in dead.items()
        ]
        return {"dead_channels": len(dead)}, warnings
