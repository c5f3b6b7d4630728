"""Factors: what steps make of a volume, and what is recommended."""

import math
from collections.abc import Sequence

import pytest

from voxgen.factors import Factors, in_all, recommended, stem_of_itself, steps_between


@pytest.mark.parametrize(
    ("levels", "given", "steps"),
    [
        (1, None, ()),
        (3, None, ((2, 2, 2), (2, 2, 2))),
        (3, [4, 2], ((4, 4, 4), (2, 2, 2))),
        (2, [16], ((16, 16, 16),)),
        (3, [[4, 4, 2], [2, 2, 1]], ((4, 4, 2), (2, 2, 1))),
        (3, ((8, 4, 1), 3), ((8, 4, 1), (3, 3, 3))),
    ],
)
def test_steps_are_along_each_axis(levels: int, given: Sequence[int] | None, steps: tuple[Factors]) -> None:
    assert steps_between(levels, given) == steps


@pytest.mark.parametrize(
    ("shape", "stem", "steps", "factors"),
    [
        ((64, 64, 64), (2, 2, 2), [(4, 4, 4)], (8, 8, 8)),
        ((48, 48, 8), (2, 2, 8), [(2, 2, 2)], (4, 4, 8)),
        ((48, 48, 8), (1, 1, 1), [(4, 4, 2), (2, 2, 1)], (8, 8, 2)),
        ((48, 48, 1), (1, 2, 1), [(3, 3, 3)], (3, 6, 1)),
        ((48, 48, 8), (2, 3, 4), [], (2, 3, 4)),
    ],
)
def test_in_all(shape: Factors, stem: Factors, steps: list[Factors], factors: Factors) -> None:
    assert in_all(shape, stem, steps) == factors


@pytest.mark.parametrize(
    ("shape", "levels", "further", "text", "latent"),
    [
        ((48, 48, 8), 2, 2, "stem: [2, 2, 8], factors: [2]", (12, 12, 1)),
        ((64, 64, 64), 2, 2, "stem: [2, 2, 2], factors: [2]", (16, 16, 16)),
        ((64, 64, 64), 3, 4, "stem: [1, 1, 1], factors: [2, 2]", (16, 16, 16)),
        ((256, 256, 64), 2, 2, "stem: [2, 2, 2], factors: [4]", (32, 32, 8)),
        ((256, 256, 64), 3, 2, "stem: [2, 2, 2], factors: [2, 2]", (32, 32, 8)),
        ((512, 512, 128), 2, 4, "stem: [2, 2, 2], factors: [8]", (32, 32, 8)),
        ((512, 512, 128), 3, 4, "stem: [2, 2, 2], factors: [4, 2]", (32, 32, 8)),
        ((100, 100, 100), 2, 1, "stem: [2, 2, 2], factors: [2]", (25, 25, 25)),
        ((100, 100, 100), 2, 2, "stem: [1, 1, 1], factors: [5]", (20, 20, 20)),
        ((100, 100, 100), 1, 2, "stem: [5, 5, 5], factors: []", (20, 20, 20)),
        ((42, 64, 64), 2, 2, "stem: [1, 2, 2], factors: [[3, 2, 2]]", (14, 16, 16)),
        ((155, 240, 240), 3, 1, "stem: [1, 2, 2], factors: [[5, 4, 4], [1, 2, 2]]", (31, 15, 15)),
        ((64, 64, 1), 2, 2, "stem: [2, 2, 1], factors: [2]", (16, 16, 1)),
        ((8, 8, 8), 2, 2, "stem: [1, 1, 1], factors: [1]", (8, 8, 8)),
        ((6, 8, 7), 2, 2, "stem: [1, 1, 7], factors: [1]", (6, 8, 1)),
    ],
)
def test_what_is_recommended(
    shape: Factors, levels: int, further: int, text: str, latent: tuple[int, ...]
) -> None:
    found = recommended(shape, levels, further)
    assert found is not None
    assert str(found) == text
    factors = in_all(shape, found.stem, found.steps)
    assert tuple(size / factor for size, factor in zip(shape, factors, strict=True)) == latent
    assert len(found.steps) == levels - 1


@pytest.mark.parametrize("prime", [37, 101, 251])
def test_of_primes_nothing_is_recommended(prime: int) -> None:
    assert recommended((prime, 64, 64), 2) is None
    assert recommended((prime,) * 3, 3, 2) is None


@pytest.mark.parametrize(
    "shape", [(96, 96, 64), (240, 240, 160), (128, 128, 16), (72, 90, 60), (500, 500, 200)]
)
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_recommended_latents_have_8_to_32_voxels_or_one(shape: Factors, levels: int) -> None:
    found = recommended(shape, levels, 2)
    assert found is not None
    for size, factor in zip(shape, in_all(shape, found.stem, found.steps), strict=True):
        assert size % factor == 0
        assert size == factor or (8 <= size // factor <= 32 and size // factor % 2 == 0)


def test_patches_are_divided_too() -> None:
    found = recommended((256, 256, 64), 2, 2, patch=(64, 64, 24))
    assert found is not None
    assert str(found) == "stem: [2, 2, 2], factors: [4]"
    assert recommended((256, 256, 64), 2, 2, patch=(60, 64, 64)) is None
    folded = recommended((48, 48, 8), 2, 2, patch=(24, 24, 4))
    assert folded is not None
    assert in_all((24, 24, 4), folded.stem, folded.steps)[2] in (1, 2, 4)


def test_thin_axes_are_folded_whole() -> None:
    assert stem_of_itself((48, 48, 8)) == (2, 2, 8)
    assert stem_of_itself((32, 32, 9)) == (2, 2, 2)
    assert math.prod(stem_of_itself((1, 64, 64))) == 4
