"""The whitening of the latents: what takes them to zero mean and unit variance, and back."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError

SMALLEST_STD = 1e-6
SMALLEST_SIGNAL = 1e-3


@dataclass(frozen=True)
class Whitening:
    """Mean and standard deviation of each latent channel over the train split.

    `posterior` says what they describe: posterior draws (Var(mean) + E[std^2]) or posterior means.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    posterior: str

    def whiten(self, z_BCXYZ: Any) -> Any:
        """Latents (B, C, X, Y, Z), array or tensor, to zero mean and unit variance per channel."""
        return (z_BCXYZ - _per_channel(self.mean, z_BCXYZ)) / _per_channel(self.std, z_BCXYZ)

    def unwhiten(self, z_BCXYZ: Any) -> Any:
        """The inverse of `whiten`."""
        return z_BCXYZ * _per_channel(self.std, z_BCXYZ) + _per_channel(self.mean, z_BCXYZ)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        return cls(tuple(content["mean"]), tuple(content["std"]), content["posterior"])


def fit_whitening(
    shards: Iterable[tuple[NDArray[np.floating], NDArray[np.floating]]], posterior: str
) -> Whitening:
    """Whitening of latents given as shards of posterior mean and std, each (B, C, X, Y, Z), in float64.

    Shards are merged by the parallel variance of Chan, Golub and LeVeque (1979).

    Raises:
        InputError: a latent is not finite, or a channel (or all of them) carries no signal.
    """
    count, mean, spread, noise = 0, np.zeros(1), np.zeros(1), np.zeros(1)
    for mean_BCXYZ, std_BCXYZ in shards:
        if not (np.isfinite(mean_BCXYZ).all() and np.isfinite(std_BCXYZ).all()):
            raise InputError(
                "latents: NaN or infinite values; the autoencoder diverged: lower its learning_rate"
            )
        values_CN = np.moveaxis(mean_BCXYZ.astype(np.float64), 1, 0).reshape(mean_BCXYZ.shape[1], -1)
        size, shard_mean = values_CN.shape[1], values_CN.mean(1)
        difference = shard_mean - mean
        spread = spread + values_CN.var(1) * size + difference**2 * count * size / (count + size)
        mean = mean + difference * size / (count + size)
        noise = noise + (std_BCXYZ.astype(np.float64) ** 2).sum((0, 2, 3, 4))
        count += size
    if count == 0:
        raise InputError("latents: none to take the whitening from; the train split is empty")
    signal = spread / count
    variance = signal + noise / count if posterior == "draw" else signal
    _refuse_collapse(signal, variance)
    return Whitening(tuple(mean.tolist()), tuple(np.sqrt(variance).tolist()), posterior)


def _refuse_collapse(signal_C: NDArray[np.float64], variance_C: NDArray[np.float64]) -> None:
    dead = np.flatnonzero(np.sqrt(variance_C) < SMALLEST_STD)
    if dead.size:
        raise InputError(
            f"latents: channels {dead.tolist()} have a standard deviation below {SMALLEST_STD:g}; "
            "the autoencoder ignores them: lower the autoencoder's latent_channels or train longer"
        )
    share = float(signal_C.sum() / variance_C.sum())
    if share < SMALLEST_SIGNAL:
        raise InputError(
            f"latents: {share:.2%} of their variance is signal, the rest posterior noise: the autoencoder "
            "collapsed; lower the weight of its loss kl"
        )


def _per_channel(values: tuple[float, ...], like: Any) -> Any:
    shape = (-1, 1, 1, 1)
    if isinstance(like, np.ndarray):
        return np.asarray(values, like.dtype).reshape(shape)
    return like.new_tensor(values).reshape(shape)
