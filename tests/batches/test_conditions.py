"""What batches hold beside volumes and latents: labels, numeric attributes, and an objective's draws."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from voxgen.batches.conditions import read_conditions
from voxgen.batches.latent_batches import LatentBatches, Latents
from voxgen.batches.volume_batches import VolumeBatches, Volumes
from voxgen.io.files import read_json, read_table, write_table
from voxgen.models.objective import Address, Batch, Draws, Objective
from voxgen.models.whitening import Whitening
from voxgen.settings.sections import Settings
from voxgen.stages.encode_latents import encode_latents
from voxgen.volumes.intensity import Intensity

LABELS = ("old", "young", "adult", "old", "adult", "young")
AGES = (71, 8.5, 30, 64, 41, 12)


class Drawing(Objective):
    """Asks for two draws under names of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Identity()

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": batch["coin"].sum()}

    def draws(self, shape: tuple[int, ...], address: Address) -> Draws:
        mask = address.generator("mask").random(shape, np.float32)
        return {"mask": mask, "coin": np.float32(address.generator("coin").random())}


@pytest.fixture(scope="module")
def latents(
    tmp_path_factory: pytest.TempPathFactory, voxels: Path, results: Path, settings: Settings
) -> Path:
    """Latents in two views of volumes whose manifest has labels and attributes."""
    folder = tmp_path_factory.mktemp("conditions")
    rows = read_table(voxels / "train.csv")
    for row, label, age in zip(rows, LABELS, AGES, strict=True):
        row["label"] = label
        row["attributes"] = json.dumps({"age": age, "site": "A", "checked": True})
    write_table(folder / "train.csv", rows, list(rows[0]))
    encode_latents(
        "train",
        (folder / "train.csv", voxels / "train"),
        *(voxels / "grid.json", voxels / "intensity.json", results / "autoencoder", folder / "latents"),
        *(("x",), (), settings.machine),
    )
    return folder / "latents"


def test_labels_and_numbers_of_a_manifest_reach_the_batch(latents: Path, results: Path) -> None:
    whitening = Whitening.from_json(read_json(results / "latents/scale.json"))
    items = np.array([5, 0, 2, 1])
    batch = LatentBatches(Latents(latents, whitening), Drawing(), 0, "train").batch(items, 3)
    assert batch.keys() == {"latent", "label", "covariate age", "mask", "coin"}
    assert batch["label"].tolist() == [2, 1, 0, 2]  # of adult, old, young
    assert batch["covariate age"].tolist() == [12, 71, 30, 8.5]
    assert (batch["label"].dtype, batch["covariate age"].dtype) == (torch.int64, torch.float32)


def test_a_label_that_is_missing_somewhere_is_no_label() -> None:
    rows = [{"label": "a", "attributes": '{"age": 1, "dose": 2}'}, {"label": "", "attributes": '{"age": 3}'}]
    found = read_conditions(rows)
    assert (found.classes, list(found.covariates)) == ((), ["age"])
    assert found.of(1) == {"covariate age": 3}
    assert read_conditions([{"id": "a"}]).of(0) == {}


def test_volumes_come_with_whatever_the_objective_draws(voxels: Path) -> None:
    volumes = Volumes(voxels / "train.csv", voxels / "train", Intensity("linear", 1.0), 1.0)
    batch = VolumeBatches(volumes, Drawing(), (), (4, 2, 8), 7, "validation").batch(np.array([3, 1]), 0)
    assert batch.keys() == {"volume", "mask", "coin"}
    for place, item in enumerate((3, 1)):
        expected = Drawing().draws((4, 2, 8), Address(7, "validation", 0, item))
        np.testing.assert_array_equal(batch["mask"][place], expected["mask"])
        assert batch["coin"][place] == expected["coin"]


def test_another_split_has_the_codes_of_the_train_split() -> None:
    rows = [{"label": label} for label in ("b", "d", "c")]
    conditions = read_conditions(rows, classes=("a", "b", "c"))
    assert (conditions.classes, conditions.label_N.tolist()) == (("a", "b", "c"), [1, -1, 2])
