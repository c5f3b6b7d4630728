"""Scenes: what the page holds is what was given, true to scale, and cannot break out of its element."""

import base64
import gzip
import json
import re
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from voxgen.figures.sheet import colour_scale
from voxgen.pages.scenes import Choice, cloud_choice, scene, script, style, volume_choice

RNG = np.random.default_rng(0)
COUNTS_XYZ = RNG.poisson(0.3, (5, 4, 3)).astype(np.float32)
SCAN_XYZ = RNG.normal(size=(5, 4, 3)).astype(np.float32)


def content(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found.group(1))
    return data


def unpacked(packed: str, dtype: str) -> NDArray[Any]:
    return np.frombuffer(gzip.decompress(base64.b64decode(packed)), dtype)


@pytest.mark.parametrize(
    ("volume_XYZ", "quantity"), [(COUNTS_XYZ, "counts in a voxel"), (SCAN_XYZ, "intensity")]
)
def test_voxels_come_back_within_half_a_level(volume_XYZ: NDArray[np.float32], quantity: Any) -> None:
    scale = colour_scale([volume_XYZ], quantity)
    data = content(scene("s", [volume_choice("v", volume_XYZ, (1, 1, 1))], "um", scale, quantity))
    levels = unpacked(data["choices"][0]["volume"], "u1")
    assert data["choices"][0]["shape"] == [5, 4, 3]
    found = levels.reshape(3, 4, 5).transpose(2, 1, 0) / 255  # x is the fastest axis
    about = data["scale"]
    values = about["low"] + (about["high"] - about["low"]) * found ** (1 / about["gamma"])
    expected = np.clip(volume_XYZ, about["low"], about["high"])
    np.testing.assert_allclose(scale.norm(values), scale.norm(expected), atol=0.5 / 255 + 1e-6)
    assert (about["low"] < 0) == (quantity == "intensity")


def test_points_come_back_within_a_65535th_of_the_box() -> None:
    points_PC = RNG.random((50, 3)) * (20_000, 20_000, 2_500)
    choice = volume_choice("v", COUNTS_XYZ, (4_000, 5_000, 2_500 / 3), points_PC)
    scale = colour_scale([COUNTS_XYZ], "counts in a voxel")
    data = content(scene("s", [choice], "nm", scale))["choices"][0]
    steps = unpacked(data["points"], "<u2").reshape(-1, 3)
    np.testing.assert_allclose(steps / 65535 * (20_000, 20_000, 2_500), points_PC, atol=20_000 / 65535)
    assert data["size"] == pytest.approx([1, 1, 0.125])
    assert data["words"] == "20 µm × 20 µm × 2.5 µm"
    assert data["bar"] == {"length": 0.25, "words": "5 µm"}


def test_a_cloud_fills_its_box_and_a_flat_one_has_some() -> None:
    choice = cloud_choice("c", np.array([[10.0, 0.0, 3.0], [14.0, 2.0, 3.0]]))
    assert choice.size == (4.0, 2.0, 0.004)
    data = content(scene("s", [choice], "um"))
    steps = unpacked(data["choices"][0]["points"], "<u2").reshape(-1, 3)
    assert steps.tolist() == [[0, 0, 0], [65535, 65535, 0]]
    assert data["scale"] is None
    assert min(cloud_choice("one", np.ones((1, 3))).size) > 0


def test_colours_are_those_of_the_figures() -> None:
    scale = colour_scale([COUNTS_XYZ], "counts in a voxel")
    stops = content(scene("s", [volume_choice("v", COUNTS_XYZ, (1, 1, 1))], "um", scale))["scale"]["colours"]
    np.testing.assert_allclose(stops[0], to_rgb(scale.colours(0.0)), atol=1e-3)
    np.testing.assert_allclose(stops[-1], to_rgb(scale.colours(1.0)), atol=1e-3)
    np.testing.assert_allclose(stops[len(stops) // 2], to_rgb(scale.colours(0.5)), atol=0.02)


def test_names_cannot_break_out_of_the_page() -> None:
    bad = "</script><img src=x onerror=alert(1)>"
    html = str(scene(bad, [cloud_choice(bad, np.eye(3))], "um"))
    assert html.count("</script>") == 1
    assert "<img" not in html
    assert content(html)["choices"][0]["name"] == bad


def test_the_library_comes_once_and_whole() -> None:
    code = script()
    packed = re.findall(r'<script type="text/plain" id="k3d">(.*?)</script>', code)
    assert len(packed) == 1
    library = gzip.decompress(base64.b64decode(packed[0]))
    assert library.endswith(b"})());")
    assert b"Three.js Authors" in library
    assert "class Scene" in code
    assert ".stage" in style()


def test_the_same_scene_has_the_same_bytes() -> None:
    first, second = (scene("s", [cloud_choice("c", np.eye(3))], "um") for _ in range(2))
    assert first == second


def test_a_scene_refuses_nothing_to_show_and_volumes_without_a_scale() -> None:
    with pytest.raises(ValueError, match="without choices"):
        scene("s", [], "um")
    with pytest.raises(ValueError, match="need a scale"):
        scene("s", [Choice("v", (1, 1, 1), COUNTS_XYZ)], "um")
