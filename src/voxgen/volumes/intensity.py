"""The invertible law between stored volumes and the network's range."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from voxgen.errors import InputError

Law = Literal["linear", "log1p", "identity"]
Function = Callable[[Any], Any]


def _not_negative(x: Any) -> Any:
    return np.maximum(x, 0)


LAWS: dict[str, tuple[Function, Function]] = {
    "linear": (np.asarray, _not_negative),
    "log1p": (np.log1p, lambda x: np.expm1(_not_negative(x))),
    "identity": (np.asarray, np.asarray),
}


@dataclass(frozen=True)
class Intensity:
    """x = law(stored) / divisor, with constants from the train split.

    Counts follow linear or log1p; volumes that are no counts are stored normalised and follow identity.
    """

    law: Law
    divisor: float

    def __post_init__(self) -> None:
        if self.law not in LAWS:
            raise InputError(f"intensity: law {self.law!r} is unknown, expected one of {', '.join(LAWS)}")
        if not (np.isfinite(self.divisor) and self.divisor > 0):
            raise InputError(f"intensity: divisor {self.divisor!r}, expected a positive number")

    def to_network(self, stored: NDArray[np.float32]) -> NDArray[np.float32]:
        """A stored volume (any shape; counts are >= 0) in the network's range."""
        return np.asarray(LAWS[self.law][0](stored) / np.float32(self.divisor), dtype=np.float32)

    def from_network(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The inverse of `to_network`; counts are never below 0, and infinite beyond float32."""
        with np.errstate(over="ignore"):
            stored = LAWS[self.law][1](x * np.float32(self.divisor))
        return np.asarray(stored, dtype=np.float32)

    def to_json(self) -> dict[str, Any]:
        """The fields, for `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read the law and divisor; further entries are ignored.

        Raises:
            InputError: an entry is missing or impossible.
        """
        try:
            return cls(content["law"], float(content["divisor"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"intensity: {content!r} is no intensity.json ({error}); run collect_voxels again"
            ) from None


IDENTITY = Intensity("identity", 1.0)


def volume_level(volume: NDArray[Any], quantile: float) -> float:
    """The quantile of the foreground (values > 0) of a volume; 0 where there is none."""
    foreground = volume[volume > 0]
    return float(np.quantile(foreground, quantile)) if foreground.size else 0.0


def fit(law: Law, levels: Sequence[float]) -> Intensity:
    """The law whose divisor maps the median of the train volumes' levels [counts] to 1.

    Raises:
        InputError: there are no levels, or their median is not positive.
    """
    if not len(levels):
        raise InputError("intensity: the train split has no volume; raise data.split.train or add clouds")
    median = float(np.median(levels))
    if not median > 0:
        raise InputError(
            f"intensity: the median train volume has a level of {median:g} counts, expected more than 0; "
            "check data.grid.bounds against the clouds' extent"
        )
    return Intensity(law, float(LAWS[law][0](median)))
