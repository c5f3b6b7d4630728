"""The section `data`: where clouds and volumes come from, and how they become the volumes of a split."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from voxgen.settings.base import Axis, Count, Fraction, Plane, Unit
from voxgen.settings.clouds import CloudSettings
from voxgen.settings.grid import GridSettings
from voxgen.settings.intensity import IntensitySettings
from voxgen.settings.scans import Scans
from voxgen.settings.spheres import Spheres
from voxgen.settings.split import SplitSettings
from voxgen.settings.synthetic import Synthetic
from voxgen.settings.turns import Turn, stretching

Triple = tuple[float, float, float]
CLOUD_SOURCES = ("synthetic", "h5", "csv")
FILE_SOURCES = ("h5", "csv", "nifti")


class DataSettings(CloudSettings):
    """Where the clouds come from and how they become volumes."""

    files: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")], str] = Field(
        description="name: path or pattern (raw/*.h5) of files; for nifti also a folder or a list (.txt, "
        ".csv), for decathlon the folder with dataset.json; the name marks everything made from it"
    )
    label: str | None = Field(
        description="dataset, attribute or column with one label per cloud, kept in the index"
    )
    covariates: tuple[str, ...] = Field(
        description="datasets, attributes or columns with one number per cloud, kept in the index; what "
        "stands beside the points, and what a list says of scans, is kept by itself"
    )
    on_bad_cloud: Literal["error", "skip"] = Field(
        description="stop, or leave the cloud out and list it in dropped.csv"
    )
    max_dropped: Fraction = Field(description="share of bad clouds above which skip stops too")
    synthetic: Synthetic
    spheres: Spheres
    scans: Scans
    split: SplitSettings
    grid: GridSettings
    train_shape: tuple[Count, Count, Count] | None = Field(
        description="shape at which networks see the stored volumes (counts: a divisor of grid.shape along "
        "each axis); null: grid.shape"
    )
    intensity: IntensitySettings
    licence: str | None = Field(
        description="licence of the data, as the card of a model that was trained on them states it; "
        "null: not stated"
    )
    flips: tuple[Axis, ...] = Field(
        description="axes along which a mirrored volume is as likely as the volume itself"
    )
    rotations: tuple[Plane, ...] = Field(
        description="planes in which a volume turned by a quarter is as likely as the volume itself"
    )

    @property
    def clouds(self) -> CloudSettings:
        """The part that says how clouds are found in raw files."""
        return CloudSettings(**{name: getattr(self, name) for name in CloudSettings.model_fields})

    @property
    def makes_clouds(self) -> bool:
        """Whether the source is of point clouds, not of volumes."""
        return self.source in CLOUD_SOURCES

    @model_validator(mode="after")
    def _has_files(self) -> Self:
        if self.source in FILE_SOURCES and not self.files:
            raise ValueError(f"files: empty, but source is {self.source}: give name: path of a file")
        if self.source == "decathlon" and not self.files and self.scans.task is None:
            raise ValueError("files: empty, but source is decathlon: give a task's folder or scans.task")
        return self

    @property
    def seen_shape(self) -> tuple[int, int, int]:
        """Voxels along x, y, z of the volumes that networks see."""
        return self.train_shape or self.grid.shape

    @model_validator(mode="after")
    def _train_shape_divides(self) -> Self:
        for axis, seen, stored in zip("xyz", self.seen_shape, self.grid.shape, strict=True):
            if self.makes_clouds and stored % seen:
                raise ValueError(
                    f"train_shape: {seen} voxels along {axis} do not divide the {stored} of grid.shape; "
                    "counts are summed over whole blocks"
                )
        return self

    @model_validator(mode="after")
    def _symmetries_differ(self) -> Self:
        for name, kind in (("flips", "an axis"), ("rotations", "a plane")):
            given = getattr(self, name)
            if len(set(given)) < len(given):
                raise ValueError(f"{name}: {', '.join(given)} names {kind} twice; name each once")
        return self

    @model_validator(mode="after")
    def _turns_fit_the_grid(self) -> Self:
        size = dict(zip("xyz", self.seen_shape, strict=True))
        for plane in self.rotations:
            a, b = plane
            if size[a] != size[b]:
                raise ValueError(
                    f"rotations: {plane} turns {size[a]} voxels along {a} into {size[b]} along {b}; "
                    "give the grid equal sizes there, or leave the plane out"
                )
        if (edges := self._known_edges) and (reason := stretching(self._turns, *edges)):
            raise ValueError(reason)
        return self

    @property
    def turns_to_judge(self) -> tuple[Turn, ...]:
        """The turns of which the train split's extent alone says whether they stretch volumes."""
        return () if self._known_edges else self._turns

    @property
    def _turns(self) -> tuple[Turn, ...]:
        return tuple((plane, self.seen_shape["xyz".index(plane[0])]) for plane in self.rotations)

    @property
    def _known_edges(self) -> tuple[Triple, Unit] | None:
        """The edges of the grid along x, y, z and their unit, as far as settings alone give them."""
        x, y, z = self.grid.shape
        if self.source in ("nifti", "decathlon"):
            a, b, c = self.scans.spacing
            return (x * a, y * b, z * c), "mm"
        if self.source == "spheres" or self.grid.bounds == "cloud":
            return (x, y, z), "unitless"
        if self.grid.bounds == "train":
            return None
        a, b, c = (high - low for low, high in self.grid.bounds)
        return (a, b, c), self.unit

    @model_validator(mode="after")
    def _spheres_fit(self) -> Self:
        if self.source == "spheres" and 2 * self.spheres.radius[1] > min(self.grid.shape):
            raise ValueError(
                f"spheres.radius: up to {self.spheres.radius[1]:g} voxels, but the grid {self.grid.shape} "
                f"holds at most {min(self.grid.shape) / 2:g}"
            )
        return self
