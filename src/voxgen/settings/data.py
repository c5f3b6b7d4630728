"""The section `data`: where clouds and volumes come from, and how they become the volumes of a split."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from voxgen.settings.base import Axis, Count, Fraction, Interval, Plane, Positive, Section, Share, Unit

Source = Literal["synthetic", "h5", "csv", "spheres", "nifti", "decathlon"]
CLOUD_SOURCES = ("synthetic", "h5", "csv")
FILE_SOURCES = ("h5", "csv", "nifti")


class Synthetic(Section):
    """Simulated localisation clouds of bent filaments (source synthetic)."""

    files: Count = Field(description="raw files to write")
    clouds: Count = Field(description="clouds in each file")
    points: Count = Field(description="localisations in each cloud")
    box: tuple[Positive, Positive, Positive] = Field(description="field of view along x, y, z [nm]")
    filaments: tuple[Count, Count] = Field(description="fewest and most filaments in a cloud")
    persistence: Positive = Field(description="persistence length of a filament [nm]")
    diameter: Positive = Field(description="diameter of a filament [nm]")
    precision: tuple[Positive, Positive] = Field(
        description="localisation precision (standard deviation) across x, y and along z [nm]"
    )
    clutter: Fraction = Field(description="share of localisations that belong to no filament")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.filaments[0] > self.filaments[1]:
            raise ValueError(
                f"filaments: the fewest ({self.filaments[0]}) exceed the most ({self.filaments[1]})"
            )
        return self


class Spheres(Section):
    """Simulated volumes, each with one sphere of normally distributed values (source spheres)."""

    files: Count = Field(description="tables of spheres to write")
    volumes: Count = Field(description="volumes of each table")
    radius: tuple[Positive, Positive] = Field(description="smallest and largest radius [voxels]")
    mean: Interval = Field(description="smallest and largest mean of the values inside")
    deviation: tuple[Positive, Positive] = Field(
        description="smallest and largest standard deviation of the values inside"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ("radius", "mean", "deviation"):
            low, high = getattr(self, name)
            if not low < high:
                raise ValueError(f"{name}: the smallest ({low:g}) is not below the largest ({high:g})")
        return self


class Scans(Section):
    """How image volumes are brought onto the grid (sources nifti and decathlon)."""

    spacing: tuple[Positive, Positive, Positive] = Field(description="edges of a voxel along x, y, z [mm]")
    channel: Annotated[int, Field(ge=0)] | str | None = Field(
        description="volume of 4D files: its number from 0, or its name in dataset.json; null: files are 3D"
    )
    percentiles: tuple[Annotated[float, Field(ge=0, le=100)], Annotated[float, Field(ge=0, le=100)]] = Field(
        description="percentiles of each volume that become 0 and 1"
    )
    task: str | None = Field(
        description="task of the Medical Segmentation Decathlon to download where data.files is empty, "
        "for example Task01_BrainTumour"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.percentiles
        if not low < high:
            raise ValueError(f"percentiles: the lower ({low:g}) is not below the upper ({high:g})")
        return self


class Split(Section):
    """Shares of the clouds in each split; they sum to 1."""

    train: Share = Field(description="share that models are trained on")
    val: Share = Field(description="share that watches the training")
    test: Share = Field(description="share that only the evaluation sees")
    group: str | None = Field(
        description="label, attribute, column or file whose equal values share a split (patients, say)"
    )
    stratify: str | None = Field(
        description="label, attribute or column whose values are spread evenly over the splits"
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train + val + test is {total:g}, expected 1")
        return self


class GridSettings(Section):
    """The voxel grid and how points become counts in it."""

    shape: tuple[Count, Count, Count] = Field(description="voxels along x, y, z")
    bounds: Literal["train", "cloud"] | tuple[Interval, Interval, Interval] = Field(
        description="[min, max] along x, y, z in data.unit; or train: the extent of the train split; "
        "or cloud: each cloud is centred and scaled to the grid (volume sources: see data.scans.spacing)"
    )
    method: Literal["occupancy", "density", "gaussian"] = Field(
        description="0/1 per voxel, points per voxel, or points per voxel smoothed by a Gaussian"
    )
    sigma: Positive = Field(description="standard deviation of that Gaussian [voxels]")
    dtype: Literal["auto", "uint8", "uint16", "float32"] = Field(
        description="type of stored voxels; auto: uint8 for occupancy, else float32"
    )

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> Self:
        if not isinstance(self.bounds, str):
            for axis, (low, high) in zip("xyz", self.bounds, strict=True):
                if not low < high:
                    raise ValueError(f"bounds along {axis}: min {low:g} is not below max {high:g}")
        return self

    @model_validator(mode="after")
    def _type_holds_the_counts(self) -> Self:
        if self.method == "gaussian" and self.dtype.startswith("uint"):
            raise ValueError(f"dtype: {self.dtype} cannot hold gaussian counts, which are fractions")
        return self


class IntensitySettings(Section):
    """The law that takes counts to the network's range, and back."""

    law: Literal["linear", "log1p"] = Field(
        description="counts, or log(1 + counts), then divided; volumes that are no counts keep their values"
    )
    quantile: Annotated[float, Field(gt=0, le=1)] = Field(
        description="quantile of a train volume's foreground voxels that maps to 1 (median over volumes)"
    )


class Reading(Section):
    """How clouds are found in raw files; null: found out (`voxgen inspect FILE` shows what)."""

    source: Source = Field(
        description="clouds: synthetic (simulated), h5 or csv files; volumes: spheres (simulated), "
        "nifti files, or a decathlon task"
    )
    key: str | None = Field(
        description="HDF5 path of the coordinates: a dataset, or a pattern (cell*/points), a dataset a cloud"
    )
    columns: tuple[int | str, ...] | None = Field(
        description="columns of x, y, z (or x, y): numbers from 0, or names of fields, datasets, CSV headers"
    )
    group_by: str | None = Field(
        description="column or dataset whose values tell the clouds of a table apart; none: it is one cloud"
    )
    offsets: str | None = Field(description="dataset with the first point of each cloud of a table")
    counts: str | None = Field(description="dataset with the number of points of each cloud")
    tile: tuple[Positive, ...] | None = Field(
        description="edges along x, y (and z) of the tiles that a table is cut into, a cloud each [data.unit]"
    )
    z: float | None = Field(description="z of every point where files have none [data.unit]")
    scale: Positive | tuple[Positive, Positive, Positive] | None = Field(
        description="factor from the files' numbers to data.unit, one or for x, y, z; null: from their units"
    )
    unit: Unit = Field(description="unit of the coordinates in all that voxgen makes")
    min_points: Count = Field(description="clouds with fewer points are bad; tiles with fewer are background")

    @model_validator(mode="after")
    def _counts_of_axes(self) -> Self:
        if self.columns is not None and len(self.columns) not in (2, 3):
            raise ValueError(f"columns: {len(self.columns)} given, expected x, y, z (or x, y with data.z)")
        if self.columns is not None and len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns: {', '.join(map(str, self.columns))} names one twice; name each once")
        if self.tile is not None and len(self.tile) not in (2, 3):
            raise ValueError(f"tile: {len(self.tile)} edges given, expected x, y or x, y, z")
        return self

    @model_validator(mode="after")
    def _one_way_to_tell_clouds_apart(self) -> Self:
        ways = [name for name in ("group_by", "offsets", "tile") if getattr(self, name) not in (None, "none")]
        if len(ways) > 1:
            raise ValueError(f"{ways[0]} and {ways[1]} both tell clouds apart; give one of them")
        return self


class DataSettings(Reading):
    """Where the clouds come from and how they become volumes."""

    files: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")], str] = Field(
        description="name: path or pattern (raw/*.h5) of files; for nifti also a folder or a list (.txt, "
        ".csv), for decathlon the folder with dataset.json; the name marks everything made from it"
    )
    label: str | None = Field(
        description="dataset, attribute or column with one label a cloud, kept in the index"
    )
    on_bad_cloud: Literal["error", "skip"] = Field(
        description="stop, or leave the cloud out and list it in dropped.csv"
    )
    max_dropped: Fraction = Field(description="share of bad clouds above which skip stops too")
    synthetic: Synthetic
    spheres: Spheres
    scans: Scans
    split: Split
    grid: GridSettings
    train_shape: tuple[Count, Count, Count] | None = Field(
        description="shape at which networks see the stored volumes (counts: a divisor of grid.shape along "
        "each axis); null: grid.shape"
    )
    intensity: IntensitySettings
    flips: tuple[Axis, ...] = Field(
        description="axes along which a mirrored volume is as likely as the volume itself"
    )
    rotations: tuple[Plane, ...] = Field(
        description="planes in which a volume turned by a quarter is as likely as the volume itself"
    )

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
        return self

    @model_validator(mode="after")
    def _spheres_fit(self) -> Self:
        if self.source == "spheres" and 2 * self.spheres.radius[1] > min(self.grid.shape):
            raise ValueError(
                f"spheres.radius: up to {self.spheres.radius[1]:g} voxels, but the grid {self.grid.shape} "
                f"holds at most {min(self.grid.shape) / 2:g}"
            )
        return self


def reading(settings: Any) -> Reading:
    """The part of the section `data`, or of what a rule may see of it, that says how clouds are read."""
    return Reading(**{name: getattr(settings, name) for name in Reading.model_fields})
