"""Stage `download`: a task of the Medical Segmentation Decathlon -> its folder, through MONAI."""

import tempfile
from pathlib import Path

from voxgen.errors import InputError


def download(name: str, out: Path) -> None:
    """Fetch and unpack the task `name`, so that `out`/dataset.json exists; a failure leaves nothing.

    The archive goes through the system's temporary folder (TMPDIR) and lies unpacked beside `out` first.

    Raises:
        InputError: the task is unknown, or it cannot be fetched, verified and unpacked.
    """
    from monai.apps import DecathlonDataset, download_and_extract

    if name not in DecathlonDataset.resource:
        known = ", ".join(DecathlonDataset.resource)
        raise InputError(f"data.scans.task: {name} is unknown, expected one of {known}; correct it")
    url, md5 = DecathlonDataset.resource[name], DecathlonDataset.md5[name]
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        try:
            download_and_extract(url, output_dir=folder, hash_val=md5, hash_type="md5")
            _complete(Path(folder) / name).rename(out)
        except Exception as error:  # MONAI raises bare exceptions for some failures of the network
            raise InputError(
                f"{out}: {name} could not be downloaded ({error}). Run again, or fetch {url} (md5 {md5}), "
                f"unpack it into a folder F (tar -xf {name}.tar -C F), set data.files: {{{name}: F/{name}}}"
            ) from None


def _complete(folder: Path) -> Path:
    if not (folder / "dataset.json").is_file():
        raise FileNotFoundError(f"the archive holds no {folder.name}/dataset.json")
    return folder
