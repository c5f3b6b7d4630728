"""A trained model in Python: what `voxgen.load` gives.

Shapes: B batch, C channels, X Y Z grid, x y z latent axes, N points.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError

from voxgen.errors import InputError
from voxgen.generation.drawing import Drawn, as_drawn, draw, load_models
from voxgen.generation.interpolation import spherical
from voxgen.generation.sampled_clouds import SampledClouds
from voxgen.generation.told import Condition, given_of
from voxgen.generation.volume import Volume
from voxgen.io.files import read_json
from voxgen.models.codec import Codec
from voxgen.models.folder import CONFIG, WEIGHTS, weights_digest
from voxgen.models.trained_prior import TrainedPrior
from voxgen.settings.machine import Inference
from voxgen.settings.sections import SamplingSettings
from voxgen.sources.clouds.writing import in_form
from voxgen.volumes.grid import Grid

Array = NDArray[np.float32]
KINDS = ("samples", "model")
PARTS = ("autoencoder", "prior")
ELSEWHERE = ("samples", "condition", "rates")  # of the section `sampling`: arguments of their own, or files


class Model:
    """A first stage and the prior of its latents, with all that samples need.

    Volumes are given as `Volume`, or as arrays (X, Y, Z) in stored units (counts, or normalised intensities),
    as they lie in results/voxels/; they come back as `Volume`. Latents are whitened arrays (C, x, y, z).

    Attributes:
        config: what samples are: sampling, seed, grid, intensity law, whitening, clouds, digests.
        grid: where voxels lie, and what they hold.
        latent_shape: (C, x, y, z).
        clouds: what clouds of samples are like; None where volumes hold no counts.
    """

    def __init__(self, config: dict[str, Any], codec: Codec, prior: TrainedPrior, batch: int) -> None:
        self.config = config
        self.grid = Grid.from_json(config["grid"])
        self.latent_shape: tuple[int, ...] = tuple(prior.config["latent_shape"])
        self.clouds = SampledClouds.from_json(config["clouds"]) if config.get("clouds") else None
        self._codec, self._prior, self._batch = codec, prior, batch

    def __repr__(self) -> str:
        kinds = (part.config["settings"]["kind"] for part in (self._codec.autoencoder, self._prior))
        shape, edges = ("x".join(f"{n:.4g}" for n in each) for each in (self.grid.shape, self.grid.spacing))
        return f"<voxgen model: {' + '.join(kinds)}, {shape} voxels of {edges} {self.grid.unit}>"

    def sampling(self, **changes: Any) -> dict[str, Any]:
        """The recorded section `sampling` of the settings, with changes: `steps=20`, say.

        Raises:
            InputError: there is no such key, its value is out of bounds, or the prior cannot be sampled so.
        """
        known = [name for name in SamplingSettings.model_fields if name not in ELSEWHERE]
        if unknown := changes.keys() - set(known):
            raise InputError(f"sampling: unknown key {min(unknown)}; known here: {', '.join(known)}")
        changed: dict[str, Any] = {**self.config["sampling"], **changes}
        try:
            SamplingSettings.model_validate_json(json.dumps(changed))
        except ValidationError as error:
            wrong = [detail for detail in error.errors() if {*detail["loc"]} & changes.keys()]
            for detail in wrong[:1]:  # others are of keys that came after the model
                raise InputError(
                    f"sampling.{detail['loc'][0]}: {detail['msg']}, found {detail['input']!r}"
                ) from None
        self._prior.refuse(changed)
        return changed

    def sample(
        self, n: int, seed: int = 0, first: int = 0, condition: Condition = None, **sampling: Any
    ) -> list[Volume]:
        """`n` new volumes, those of the indices from `first` on; further keys are those of `sampling`.

        `condition` says what they are to be, of a prior that is told of its items: for all alike, such as
        {"label": "left", "age": 30}, or one such for each, with all that it was told of; None: nothing.

        An index and a seed give the volume that rule `draw_samples` gives, but for the rounding of another
        batch. All are held in memory; `draw` gives one at a time.
        """
        drawn = self.draw(range(first, first + n), seed, condition, **sampling)
        return [self._volume(one.volume, seed=seed, index=one.index) for one in drawn]

    def draw(
        self, indices: Sequence[int], seed: int = 0, condition: Condition = None, **sampling: Any
    ) -> Iterator[Drawn]:
        """The same one after another, with their latents, of which a batch is held at a time."""
        if (least := min([seed, *indices])) < 0:
            raise InputError(f"seed and indices: {least}, expected no number below 0")
        changed = self.sampling(**sampling)
        given = given_of(condition, self._prior.vocabulary, len(indices))
        return draw(self._codec, self._prior, indices, seed, changed, self._batch, given)

    def encode(self, volume: Volume | ArrayLike) -> Array:
        """The latent (C, x, y, z) of a volume: the posterior's mean, whitened.

        Raises:
            InputError: the volume has another shape than the grid, or values that cannot be.
        """
        law = self._codec.autoencoder.intensity
        latents: Array = self._codec.encode(law.to_network(self._voxels(volume)[None]))
        return np.asarray(latents[0])

    def decode(self, latent: ArrayLike) -> Volume:
        """The volume of a latent (C, x, y, z); where counts are drawn, their rates.

        Raises:
            InputError: the latent has another shape.
        """
        z_Cxyz = np.asarray(latent, np.float32)
        if z_Cxyz.shape != self.latent_shape:
            raise InputError(f"latent: shape {z_Cxyz.shape}, expected {self.latent_shape}, as `encode` gives")
        return self._volume(self._codec.decode_stored(z_Cxyz[None])[0])

    def reconstruct(self, volume: Volume | ArrayLike) -> Volume:
        """What the first stage keeps of a volume, where that lies."""
        return self._volume(self.decode(self.encode(volume)).array, like=volume)

    def interpolate(self, a: Volume | ArrayLike, b: Volume | ArrayLike, steps: int) -> list[Volume]:
        """`steps` volumes, 2 or more, from `a` to `b` as they are reconstructed, along an arc of latents.

        See `spherical`. They lie where `a` does.

        Raises:
            InputError: as `encode`, or there are fewer steps.
        """
        if steps < 2:
            raise InputError(f"interpolate: {steps} steps, expected 2 or more, of which two are the ends")
        start, end = self.encode(a), self.encode(b)
        latents = [spherical(start, end, share) for share in np.linspace(0, 1, steps)]
        return [self._volume(self.decode(latent).array, like=a) for latent in latents]

    def inpaint(
        self,
        volume: Volume | ArrayLike,
        mask: ArrayLike,
        seed: int = 0,
        index: int = 0,
        condition: Condition = None,
        **sampling: Any,
    ) -> Volume:
        """The volume with what is true in `mask` (X, Y, Z) drawn anew, and all other voxels as they are.

        Latents of which a voxel is masked are drawn around the others, which are held to those of the volume
        (`around_known`); of what is decoded the masked voxels are taken: Avrahami et al., Blended Latent
        Diffusion, arXiv 2206.02779, section 4.1. Latents near the mask have seen what stands in it: set that
        to 0 first where they must not. Seed and index address the draw.

        Raises:
            InputError: the prior is not of a kind that can, or the mask has another shape or is not boolean.
        """
        voxels, drawn_XYZ = self._voxels(volume), np.asarray(mask)
        if drawn_XYZ.shape != self.grid.shape or drawn_XYZ.dtype != np.bool_:
            found = f"{drawn_XYZ.dtype} {drawn_XYZ.shape}"
            raise InputError(f"mask: {found}, expected bool {self.grid.shape}, true where to draw anew")
        keep_xyz = ~_covered(drawn_XYZ, self.latent_shape[1:])
        known = self.encode(volume)[None]
        given = given_of(condition, self._prior.vocabulary, 1)
        latent = self._prior.inpaint(known, keep_xyz, [index], seed, self.sampling(**sampling), given)
        decoded = self._codec.decode_stored(latent)[0]
        new = as_drawn(self._codec, decoded, seed, index)
        return self._volume(np.where(drawn_XYZ, new, voxels), like=volume, seed=seed, index=index)

    def points(self, volume: Volume | ArrayLike, n: int | None = None) -> NDArray[Any]:
        """The cloud of a volume, as samples.h5 has it: (N, 3) in the unit and type of the raw files.

        `clouds.form` says which; N is the raw clouds' number where they have one, else the volume's count,
        and 0 where it is empty. Of a sample they are the points of its seed and index. They lie in the grid.

        Raises:
            InputError: volumes hold no counts.
        """
        if self.clouds is None:
            raise InputError(
                f"points: volumes hold {self.grid.method}; expected counts, of which config.json says what "
                "clouds are like (older ones do not: run snakemake results/samples again)"
            )
        counts = self._voxels(volume)
        seed, index = (volume.seed, volume.index) if isinstance(volume, Volume) else (0, 0)
        wanted = self.clouds.number(float(counts.sum(dtype=np.float64))) if n is None else n
        points = self.clouds.place(counts, self.grid, wanted, seed, index) if wanted else np.zeros((0, 3))
        return in_form(points, self.clouds.form)

    def _voxels(self, volume: Volume | ArrayLike) -> Array:
        """The voxels (X, Y, Z) of a volume, checked."""
        array = volume.array if isinstance(volume, Volume) else np.asarray(volume, np.float32)
        if array.shape != self.grid.shape:
            raise InputError(
                f"volume: shape {array.shape}, expected {self.grid.shape}, the model's grid; volumes in "
                "results/voxels/ have it"
            )
        if not np.isfinite(array).all() or (self.grid.holds_counts and array.min() < 0):
            wanted = "counts, 0 or more" if self.grid.holds_counts else "normalised intensities"
            raise InputError(f"volume: values {array.min():g} to {array.max():g}, expected {wanted}")
        return array

    def _volume(
        self, array: Array, like: Volume | ArrayLike | None = None, seed: int = 0, index: int = 0
    ) -> Volume:
        """An array where another volume lies, or where the grid does."""
        place = like if isinstance(like, Volume) else self.grid
        return Volume(array, place.origin, place.spacing, place.unit, seed, index)


def load_model(folder: Path, machine: Inference) -> Model:
    """The model in a results folder whose samples were drawn, or in a folder as results/model is.

    Raises:
        InputError: it is no such folder, or samples were drawn by other models than lie in it.
    """
    found = [place for place in (folder / CONFIG, folder / "samples" / CONFIG) if place.is_file()]
    if not found:
        raise InputError(
            f"{folder}: no {CONFIG}, no samples/{CONFIG}; expected the results of a run that drew samples "
            "(snakemake results/samples), or a folder as make model leaves it"
        )
    config = read_json(found[0])
    if config.get("kind") not in KINDS:
        raise InputError(f"{found[0]}: kind is {config.get('kind')!r}, expected one of {', '.join(KINDS)}")
    autoencoder, prior = (folder / part for part in PARTS)
    for part in (autoencoder, prior):
        if not part.is_dir():
            raise InputError(
                f"{part}: not there; if it was trained elsewhere ({part.name}.source), run make model, which "
                "puts all parts into results/model, and load that"
            )
        for file in (CONFIG, WEIGHTS):
            if not (part / file).is_file():
                raise InputError(f"{part}: no {file}; copy the whole folder {folder} again")
        ours, theirs = weights_digest(part), config["made_from"][part.name]
        if ours != theirs:
            raise InputError(
                f"{found[0]}: made from {part.name} {theirs!r}, found {ours!r} beside it; run snakemake "
                "results/samples again"
            )
    codec, drawing = load_models(autoencoder, prior, config["scale"], machine)
    return Model(config, codec, drawing, machine.batch)


def _covered(mask_XYZ: NDArray[np.bool_], latent: Sequence[int]) -> NDArray[np.bool_]:
    """Which latents (x, y, z) stand for a voxel that is true."""
    (x, y, z), (a, b, c) = latent, (n // m for n, m in zip(mask_XYZ.shape, latent, strict=True))
    return np.asarray(mask_XYZ.reshape(x, a, y, b, z, c).any(axis=(1, 3, 5)))
