"""The denoiser's network and its objective.

Shapes: B batch, C channels, X Y Z latent axes.
"""

from typing import Any

from monai.networks.nets import DiffusionModelUNet
from torch import Tensor, nn

from voxgen.models.objective import Objective
from voxgen.models.prior.processes import Process


def build_denoiser(network: dict[str, Any], latent_channels: int) -> DiffusionModelUNet:
    """MONAI's DiffusionModelUNet from the `network` section of a config (see settings)."""
    return DiffusionModelUNet(
        spatial_dims=3,
        in_channels=latent_channels,
        out_channels=latent_channels,
        channels=network["channels"],
        num_res_blocks=network["res_blocks"],
        attention_levels=network["attention_levels"],
        num_head_channels=network["head_channels"],
        norm_num_groups=network["norm_groups"],
        use_flash_attention=True,
    )


class DenoiserObjective(Objective):
    """Mean squared error of what the process asks the denoiser to predict."""

    def __init__(self, model: nn.Module, process: Process) -> None:
        super().__init__()
        self.model = model
        self.process = process

    def forward(self, z_BCXYZ: Tensor, noise_BCXYZ: Tensor, time_B: Tensor) -> dict[str, Tensor]:
        """Loss for whitened latents, their noise and times in [0, 1)."""
        noisy_BCXYZ, target_BCXYZ, step_B = self.process.corrupt(z_BCXYZ, noise_BCXYZ, time_B)
        predicted_BCXYZ = self.model(noisy_BCXYZ, timesteps=step_B)
        return {"loss": (predicted_BCXYZ.float() - target_BCXYZ).square().mean()}
