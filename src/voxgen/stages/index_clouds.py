"""Stage `index_clouds`: raw files -> one line per cloud, with what is wrong with it."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from voxgen.io.files import write_table
from voxgen.settings.clouds import CloudSettings
from voxgen.sources.clouds.opening import Clouds, open_clouds

BOUNDS = ("xmin", "ymin", "zmin", "xmax", "ymax", "zmax")
COLUMNS = ("id", "file", "key", "row", "points", "label", "attributes", *BOUNDS, "digest", "reason")


def index_clouds(
    raw: Sequence[Path],
    name: str,
    out: Path,
    settings: CloudSettings,
    label: str | None,
    group: str | None,
    stratify: str | None,
    covariates: tuple[str, ...] = (),
) -> None:
    """Write the index of the raw files `raw`, whose clouds are called `{name}-{row:06d}`.

    `label`, `covariates`, `group` and `stratify` name what each cloud must have one value of; `attributes` is
    JSON of these and of what else a file says of a cloud. Bounds are in data.unit; `digest` is that of the
    float64 coordinates; `reason` says why a cloud is bad, and is empty for a good one.

    Raises:
        InputError: a file, the coordinates or the labels cannot be read.
    """
    carried = (name for name in (group, stratify) if name not in ("file", "label"))  # these have columns
    wanted = list(dict.fromkeys(filter(None, (label, *covariates, *carried))))
    with open_clouds(raw, settings, wanted) as clouds:
        write_table(out, _entries(clouds, name, label), COLUMNS)


def _entries(clouds: Clouds, name: str, label: str | None) -> Iterator[dict[str, Any]]:
    for cloud in clouds.read(0, len(clouds)):
        reason = clouds.judge(cloud)
        low_high = [] if reason else cloud.extent.ravel().tolist()
        yield {
            "id": f"{name}-{cloud.row:06d}",
            "file": cloud.file,
            "key": cloud.key,
            "row": cloud.row,
            "points": len(cloud.points),
            "label": "" if label is None else cloud.attributes[label],
            "attributes": json.dumps(cloud.attributes, ensure_ascii=False, sort_keys=True),
            **dict(zip(BOUNDS, low_high, strict=False)),
            "digest": hashlib.blake2b(cloud.points.tobytes(), digest_size=16).hexdigest(),
            "reason": reason,
        }
