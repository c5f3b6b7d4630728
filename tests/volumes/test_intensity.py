"""The intensity law is invertible, and refuses empty data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxgen.errors import InputError
from voxgen.volumes.intensity import Intensity, fit, volume_level


@given(
    st.lists(st.floats(0, 2**20, width=32), min_size=1, max_size=20),
    st.sampled_from(["linear", "log1p"]),
    st.floats(0.125, 1000),
)
def test_counts_come_back(counts: list[float], law: str, divisor: float) -> None:
    intensity = Intensity(law, divisor)
    array = np.array(counts, dtype=np.float32)
    back = intensity.from_network(intensity.to_network(array))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, array, rtol=1e-4, atol=1e-5)


def test_known_answers() -> None:
    intensity = fit("log1p", [1.0, 7.0, 9.0])
    assert intensity.divisor == pytest.approx(np.log(8))
    assert intensity.to_network(np.array([0.0, 7.0], np.float32)).tolist() == pytest.approx([0, 1])
    assert intensity.from_network(np.array([-2.0, 1.0], np.float32)).tolist() == pytest.approx([0, 7])
    assert fit("linear", [4.0]).to_network(np.array([2.0], np.float32)).tolist() == [0.5]
    assert np.isinf(intensity.from_network(np.array([1000.0], np.float32))[0])


def test_the_level_is_that_of_the_foreground() -> None:
    assert volume_level(np.array([0.0, 0.0, 1.0, 2.0, 3.0]), 0.5) == 2.0
    assert volume_level(np.zeros(4), 0.5) == 0.0


def test_json_round_trip_and_refusals() -> None:
    intensity = Intensity("log1p", 2.5)
    assert Intensity.from_json({**intensity.to_json(), "n_train": 3}) == intensity
    for levels in ([], [0.0, 0.0, 1.0]):
        with pytest.raises(InputError, match="train"):
            fit("linear", levels)
    for content in ({"law": "linear"}, {"law": "cube", "divisor": 1}, {"law": "linear", "divisor": 0}):
        with pytest.raises(InputError, match="intensity"):
            Intensity.from_json(content)
