"""Figures: geometry of views and scale bars, colour scales, and files that are written."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from voxgen.figures import split_sheets, training_curves, volume_sheets
from voxgen.figures.sheet import (
    SIGNED,
    Quantity,
    View,
    central_slice,
    colour_scale,
    in_words,
    projection,
    round_length,
)
from voxgen.figures.split_sheets import Shown, save_data_preview, save_statistics
from voxgen.figures.training_curves import save_history
from voxgen.figures.volume_sheets import Reconstructed, save_preview, save_reconstructions

Shape = tuple[int, int, int]


def volumes(n: int, shape: Shape) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.poisson(0.2, shape).astype(np.float32) for _ in range(n)]


def shown(n: int, shape: Shape, spacing: tuple[float, ...] = (1, 1, 1)) -> list[Shown]:
    return [Shown(f"cloud-{i}", volume, spacing) for i, volume in enumerate(volumes(n, shape))]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures, kept in place of being written."""
    figures: list[Figure] = []
    for module in (split_sheets, volume_sheets):
        monkeypatch.setattr(module, "save", lambda _, figure: figures.append(figure))
    return figures


def test_views_keep_their_axes() -> None:
    volume = np.zeros((2, 3, 4))
    volume[1, 2, 3] = 5
    volume[1, 1, 2] = 3
    for view in (projection, central_slice):
        shapes = {axis: view(volume, axis).shape for axis in ("x", "y", "z")}
        assert shapes == {"z": (3, 2), "y": (4, 2), "x": (4, 3)}
    assert (
        projection(volume, "z")[2, 1] == projection(volume, "y")[3, 1] == projection(volume, "x")[3, 2] == 5
    )
    assert central_slice(volume, "z").sum() == central_slice(volume, "z")[1, 1] == 3
    assert central_slice(volume, "y").sum() == central_slice(volume, "y")[2, 1] == 3
    assert central_slice(volume, "x")[3, 2] == 5


def test_projections_show_what_is_farthest_from_zero() -> None:
    volume = np.array([[[1.0, -3.0, 2.0]], [[0.5, 0.0, -0.2]]])
    assert projection(volume, "z").tolist() == [[-3.0, 0.5]]
    assert np.array_equal(projection(np.abs(volume), "z"), np.abs(volume).max(2).T)


def test_colour_scales() -> None:
    counts = colour_scale([np.arange(1000.0)], "counts in a voxel")
    assert counts.norm.vmin == 0
    assert counts.norm.vmax == pytest.approx(997, abs=1)
    assert counts.norm(counts.norm.vmax / 4) == pytest.approx(0.5)
    scan = colour_scale([np.linspace(-0.02, 1, 1000)], "intensity")
    assert (scan.norm.vmin, scan.norm(0.0), scan.norm(scan.norm.vmax / 4)) == (0, 0, pytest.approx(0.25))
    signed = colour_scale([np.linspace(-2, 1, 1000)], "intensity")
    assert -signed.norm.vmin == signed.norm.vmax == pytest.approx(2, abs=0.01)
    assert signed.norm(0.0) == 0.5
    assert colour_scale([np.zeros(9)], "intensity").norm.vmax == 1


def test_signed_colours_are_as_bright_as_their_values_are_far_from_zero() -> None:
    light = SIGNED(np.linspace(0, 1, 101))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light[:51]) < 0).all()
    assert (np.diff(light[50:]) > 0).all()
    assert np.abs(light - light[::-1]).max() < 0.12


@pytest.mark.parametrize(
    ("length", "unit", "words"),
    [
        (5000, "nm", "5 µm"),
        (740, "nm", "500 nm"),
        (2.1, "um", "2 µm"),
        (0.5, "unitless", "0.5"),
        (30, "mm", "20 mm"),
    ],
)
def test_scale_bars_are_round_and_have_units(length: float, unit: str, words: str) -> None:
    assert in_words(round_length(length), unit) == words


@pytest.mark.parametrize("shape", [(16, 16, 4), (8, 8, 8), (12, 6, 1)])
def test_preview_is_a_picture_and_repeatable(shape: Shape, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        save_preview(tmp_path / name, volumes(3, shape), volumes(2, shape), (100, 100, 150), "nm")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert imread(tmp_path / "a.png").std() > 0.1


def test_previews_of_empty_and_of_signed_volumes(tmp_path: Path) -> None:
    empty = [np.zeros((8, 8, 8), np.float32)]
    save_preview(tmp_path / "empty.png", empty, empty, (1, 1, 1), "unitless")
    save_data_preview(tmp_path / "empty2.png", {"train": [Shown("a", empty[0], (1, 1, 1))]}, "mm")
    signed = [-volume for volume in volumes(1, (8, 8, 8))]
    save_preview(tmp_path / "signed.png", signed, signed, (1, 1, 1), "mm", quantity="intensity")
    assert (tmp_path / "empty.png").exists()
    assert (tmp_path / "empty2.png").exists()
    blue = imread(tmp_path / "signed.png")[..., 2] - imread(tmp_path / "signed.png")[..., 0]
    assert (blue > 0.3).mean() > 0.05


@pytest.mark.parametrize(
    ("quantity", "view"), [("counts in a voxel", projection), ("intensity", central_slice)]
)
def test_counts_are_seen_through_and_intensities_cut(
    quantity: Quantity, view: View, drawn: list[Figure]
) -> None:
    volume = volumes(1, (8, 8, 8))[0]
    save_preview(Path("unused"), [volume], [volume], (1, 1, 1), "mm", quantity=quantity)
    np.testing.assert_array_equal(drawn[0].axes[0].images[0].get_array(), view(volume, "z"))


@pytest.mark.parametrize(
    ("shape", "spacing", "views"),
    [((12, 12, 12), (1, 1, 1), 3), ((12, 10, 4), (100, 100, 150), 3), ((12, 6, 1), (1, 1, 50), 1)],
)
def test_data_preview_shows_each_volume_true_to_scale(
    shape: Shape, spacing: tuple[float, ...], views: int, drawn: list[Figure]
) -> None:
    groups = {"train": shown(4, shape, spacing), "val": shown(2, shape, spacing), "test": []}
    save_data_preview(Path("unused"), groups, "nm")
    *panels, bar = drawn[0].axes
    assert len(panels) == (4 + 2) * 2 * views
    assert bar.get_ylabel() == "counts in a voxel"
    x, y, z = np.multiply(shape, spacing)
    inches = [panel.get_position().size * drawn[0].get_size_inches() for panel in panels[:views]]
    scale = inches[0][0] / x
    for size, (width, height) in zip(inches, [(x, y), (z, y), (x, z)], strict=False):
        assert size == pytest.approx([scale * width, scale * height])
    for line, view in ((0, central_slice), (1, projection)):
        images = [panel.images[0].get_array() for panel in panels[line * views : (line + 1) * views]]
        volume = groups["train"][0].volume
        for image, axis in zip(images, ("z", "x", "y"), strict=False):
            assert np.array_equal(image, view(volume, axis).T if axis == "x" else view(volume, axis))
    words = [text.get_text() for text in drawn[0].texts]
    assert {"train", "val", "cloud-0", "cloud-3"} <= set(words)
    assert "test" not in words
    assert sum(len(panel.lines) for panel in panels) == 1


def test_volumes_of_their_own_spacing_have_their_own_scale_bars(drawn: list[Figure]) -> None:
    groups = {"train": [*shown(1, (8, 8, 8)), *shown(1, (8, 8, 8), (3, 3, 3))]}
    save_data_preview(Path("unused"), groups, "mm")
    words = [text.get_text() for panel in drawn[0].axes for text in panel.texts if "mm" in text.get_text()]
    assert words == ["2 mm", "5 mm"]


def test_data_preview_is_repeatable_and_keeps_the_ends_of_long_ids(tmp_path: Path) -> None:
    long = [Shown("a" * 40 + "17", volumes(1, (8, 8, 8))[0], (1, 1, 1))]
    for name in ("a.png", "b.png"):
        save_data_preview(tmp_path / name, {"train": long}, "um", "intensity")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert split_sheets._short(long[0].id, 26) == "a" * 12 + "…" + "a" * 11 + "17"


@pytest.mark.parametrize("clouds", [True, False])
def test_statistics_have_a_panel_for_each_thing(clouds: bool, drawn: list[Figure]) -> None:
    split = {
        "volumes": 2,
        "density": {"histogram": [3, 1]},
        "points": {"histogram": [1, 1]} if clouds else None,
        "outside": {"share": 0.25, "worst": [{"id": "a", "share": 0.5}]} if clouds else None,
    }
    content = {
        "quantity": "counts in a voxel" if clouds else "intensity",
        "density_edges": [1, 2, 4],
        "points_edges": [10, 15, 20] if clouds else None,
        "splits": {"train": split, "val": {"volumes": 0}, "test": split},
    }
    save_statistics(Path("unused"), content)
    panels = drawn[0].axes
    assert [panel.get_xlabel() for panel in panels] == (
        ["counts in a voxel", "points per cloud", "points outside the grid [%]"] if clouds else ["intensity"]
    )
    assert [step.get_data().values.tolist() for step in panels[0].patches] == [[75, 25], [75, 25]]
    if clouds:
        assert [bar.get_width() for bar in panels[2].patches] == [25, 25]
        assert [line.get_xdata().tolist() for line in panels[2].lines] == [[50], [50]]


def test_reconstructions_of_one_or_three(tmp_path: Path) -> None:
    for n in (1, 3):
        cases = [Reconstructed(f"case {i}", v, 0.8 * v) for i, v in enumerate(volumes(n, (8, 8, 8)))]
        save_reconstructions(tmp_path / f"{n}.png", cases, (1, 1, 1), "um")
        assert imread(tmp_path / f"{n}.png").std() > 0.1


def test_every_figure_of_a_history_has_a_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(training_curves, "save", lambda _, figure: drawn.append(figure))
    shared = {"step": "4", "learning_rate": "0.001", "skipped": "0", "train_gradient_norm": "2"}
    shared |= {"train_loss": "0.5", "val_loss": "0.6", "train_l1": "0.4", "val_l1": "0.5", "val_kl_0": "3"}
    rows = [
        {"epoch": "1", **shared, "train_discriminator_loss": "", "val_adversarial": ""},
        {"epoch": "2", **shared, "train_discriminator_loss": "0.25", "val_adversarial": "1.5"},
    ]
    save_history(Path("unused"), rows, "Autoencoder")
    panels = {panel.get_title(loc="left"): panel for panel in drawn[0].axes}
    assert set(panels) == {"Autoencoder", "l1", "discriminator loss", "adversarial", ""}
    assert [list(line.get_ydata()) for line in panels["l1"].lines] == [[0.4, 0.4], [0.5, 0.5]]
    assert [list(line.get_xdata()) for line in panels["adversarial"].lines] == [[2.0]]
    assert panels[""].get_xlabel() == "epoch"


def test_history_with_gaps_one_epoch_and_negative_losses(tmp_path: Path) -> None:
    row = {
        "epoch": "1",
        "step": "4",
        "learning_rate": "0.001",
        "train_loss": "0.5",
        "val_loss": "",
        "more": "1",
    }
    histories = {
        "one": [row],
        "two": [row, row | {"epoch": "2", "train_loss": "-0.1", "val_loss": "0.2"}],
        "none": [],
    }
    for name, rows in histories.items():
        save_history(tmp_path / f"{name}.png", rows, "Autoencoder")
        assert (tmp_path / f"{name}.png").exists()
