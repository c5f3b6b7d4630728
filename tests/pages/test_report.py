"""The report says what the files say, as far as they are there, and takes nothing from elsewhere."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from elements import Elements
from report_fixture import COUNTS, SCANS, write_data, write_report, write_scores
from voxgen.figures.sheet import pick_evenly
from voxgen.io.files import digest, read_json, read_table, write_json, write_table
from voxgen.pages.provenance import duration, environment_rows, time_rows
from voxgen.pages.report_inputs import Run
from voxgen.pages.report_page import report_page
from voxgen.pages.report_tables import word_verdict
from voxgen.pages.sample_scenes import SHOWN, VOXELS, report_scenes, thin_out
from voxgen.pages.worst_differences import choose_typical
from voxgen.volumes.nifti import write_volume

ORDER = [
    "differences",
    "summary",
    "samples",
    "scores",
    "memorisation",
    "reconstruction",
    "training",
    "data",
    "settings",
    "origin",
]
POINTS = '"points": "'
BAD = "<img src=http://example.org/x onerror=alert(1)>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(tmp_path_factory.mktemp("run"), label=BAD).read_text()


def bare(folder: Path) -> str:
    """A report of the same scores and volumes without figures, machine and times."""
    run = Run({"seed": 0}, {}, folder / "no.json", folder / "no")
    return report_page("t", write_scores(folder / "ev"), write_data(folder, COUNTS), run, {}, {})


def test_sections_stand_in_order_and_the_contents_lead_to_them(page: str) -> None:
    elements = Elements(page)
    assert [attributes["id"] for tag, attributes in elements.tags if tag == "section"] == ORDER
    links = [a["href"] for tag, a in elements.tags if tag == "a" and (a["href"] or "").startswith("#")]
    assert [f"#{name}" for name in ORDER] == links[: len(ORDER)]
    assert "Worth a look: samples. Passed: reconstruction, memorisation." in elements.words


def test_every_number_of_the_scores_is_there(page: str) -> None:
    words = Elements(page).words
    text = " ".join(words)
    assert text.count("5.0 % [3.0, 7.0]") == 2  # samples of both metrics
    assert text.count("3.0 % [1.0, 5.0]") == 3  # the references of one
    assert "52.0 % [50.0, 54.0]" in text
    assert words.count("–") == 4  # missing: two references of 1-NNA, two of PSNR
    assert "0.970 [0.950, 0.990]" in text
    assert "31.2 dB [30.7, 31.7]" in text
    assert "ceiling: test volumes, rebuilt by the autoencoder" in words
    assert words[words.index("test-2") + 1 : words.index("test-2") + 3] == ["0.92", "32 dB"]
    assert "expected of unseen volumes" in words
    assert "; power spectrum." in text  # it differs
    assert text.count("p = 0.02") == 1
    assert "Train volumes, which are real, differ" not in text
    assert words[words.index("train-0") + 1 : words.index("train-0") + 3] == ["0.82", "1.040"]
    assert "6 volumes, 18,000 points" in words
    assert "2.5 µm" in text


def test_it_opens_with_what_is_most_wrong_and_with_pictures_that_show_it(page: str) -> None:
    elements = Elements(page)
    words = elements.words
    first, second = words.index(f"{BAD} is 16 % too low"), words.index("samples do not mix")
    assert words.index("failed") < first < words.index("look", first) < second < words.index("Summary", first)
    assert f"{BAD}: mean -16 %, p < 0.001." in words
    images = [a for tag, a in elements.tags if tag == "img"]
    pictures = [str(a["src"]) for a in images if str(a["alt"]).startswith("Real volumes above")]
    assert len(pictures) == 2
    assert all(picture.startswith("data:image/png;base64,") for picture in pictures)
    assert any("nearest to the median of their set (0.2 and 0.2)" in one for one in words)


def test_typical_volumes_are_nearest_to_the_median_and_those_without_a_number_last() -> None:
    volumes = {"ids": list("abcdefg"), "size": [1, 9, 4, None, 5, 6, 20]}
    assert choose_typical(volumes, "size") == (["e", "f", "c", "b"], 5.5)
    assert choose_typical(volumes, "1-nna") == (["a", "c", "e", "g"], None)


def test_real_volumes_that_differ_are_a_warning(tmp_path: Path) -> None:
    scores, data = write_scores(tmp_path / "ev"), write_data(tmp_path, COUNTS)
    content = read_json(scores.summary)
    content["differences"]["train"] = ["sharpness"]
    write_json(scores.summary, content)
    words = " ".join(Elements(report_page("t", scores, data, Run({}, {}, tmp_path, tmp_path), {}, {})).words)
    assert "Train volumes, which are real, differ from test volumes too, in: sharpness." in words


def test_where_it_comes_from(page: str, tmp_path: Path) -> None:
    words = Elements(page).words
    assert "grid 42bdb2e15252b55f" in words
    (tmp_path / "same").write_bytes(b"weights")
    assert digest(tmp_path / "same") in words
    assert words[words.index("voxelize") + 1 : words.index("voxelize") + 4] == ["2", "2 min 30 s", "196 MB"]
    assert words.index("voxelize") < words.index("sample", words.index("voxelize"))
    assert "name a processor, cores 2" in words
    assert "holds <no> points" in words


def test_text_from_data_is_escaped(page: str) -> None:
    assert BAD in Elements(page).words
    assert not [a for tag, a in Elements(page).tags if "onerror" in a]


def test_nothing_comes_from_elsewhere(page: str) -> None:
    elements = Elements(page)
    for tag, attributes in elements.tags:
        for name in ("src", "href"):
            if attributes.get(name) and tag != "script":
                assert re.match("data:|#", str(attributes[name])), (tag, attributes)
        assert tag != "script" or "src" not in attributes
    style = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style


def test_a_page_of_two_scenes_has_one_library(page: str) -> None:
    assert page.count('id="k3d"') == 1
    assert len([a for _, a in Elements(page).tags if a.get("class") == "scene"]) == 2


def test_the_same_run_has_the_same_page(tmp_path: Path, page: str) -> None:
    assert write_report(tmp_path, label=BAD).read_text() == page


def test_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    words = Elements(bare(tmp_path)).words
    assert "Times" not in words
    assert "Environment" not in words
    assert "Summary" in words


def test_a_figure_without_a_place_is_refused(tmp_path: Path) -> None:
    scores, data = write_scores(tmp_path / "ev"), write_data(tmp_path, COUNTS)
    with pytest.raises(ValueError, match="loss"):
        report_page("t", scores, data, Run({}, {}, tmp_path, tmp_path), {"loss": tmp_path}, {})


def test_scans_have_no_points(tmp_path: Path) -> None:
    html = report_scenes(write_data(tmp_path, SCANS))
    assert '"volume"' in html
    assert POINTS not in html
    assert POINTS in report_scenes(write_data(tmp_path / "counts", COUNTS))


def test_empty_volumes_and_no_samples_are_shown_as_what_they_are(tmp_path: Path) -> None:
    data = write_data(tmp_path, COUNTS, n=1)
    empty = np.zeros(COUNTS.shape, np.float32)
    write_volume(data.samples / "sample-0.nii.gz", empty, COUNTS.origin, COUNTS.spacing, COUNTS.unit)
    assert report_scenes(data).count(POINTS) == 1
    table = data.samples / "samples.csv"
    write_table(table, [], list(read_table(table)[0]))
    assert report_scenes(data).count('class="scene"') == 1
    write_table(data.splits["test"], [], list(read_table(data.splits["train"])[0]))
    assert report_scenes(data) == ""


def test_the_shown_volumes_fit_into_a_page() -> None:
    rows = [{"id": str(i)} for i in range(100)]
    assert [row["id"] for row in pick_evenly(rows, 3)] == ["0", "50", "99"]
    assert pick_evenly(rows[:2], SHOWN) == rows[:2]
    assert pick_evenly([], SHOWN) == []
    large = np.zeros((200, 200, 201), np.float32)
    large[101, 50, 200] = 7.0
    fewer = thin_out(large, VOXELS, counts=True)
    assert fewer.size < VOXELS
    assert fewer[50, 25, 100] == 7.0
    assert fewer.sum() == 7.0
    assert thin_out(large, VOXELS, counts=False).shape == fewer.shape
    assert thin_out(large[:50], VOXELS, counts=True).shape == (50, 200, 201)


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"samples": "pass", "memorisation": "pass"}, "All gates are passed."),
        ({"samples": "look", "memorisation": "fail"}, "Failed: memorisation. Worth a look: samples."),
    ],
)
def test_the_verdict_says_first_what_asks_for_attention(sections: dict[str, str], words: str) -> None:
    assert word_verdict({"sections": {name: {"verdict": v} for name, v in sections.items()}}) == words


def test_times_that_could_not_be_measured(tmp_path: Path) -> None:
    (tmp_path / "short.tsv").write_text("s\th:m:s\tmax_rss\n0.2\t0:00:00\t-\n")
    (tmp_path / "cut.tsv").write_text("s\th:m:s\tmax_rss\n")
    assert time_rows(tmp_path) == [["short", "1", "0.2 s", "–"]]
    assert time_rows(tmp_path / "nowhere") == []
    assert [duration(seconds) for seconds in (59.9, 60, 7500)] == ["59.9 s", "1 min 0 s", "2 h 5 min"]
    assert duration(3599.9) == "1 h 0 min"


def test_unknown_facts_of_the_machine_are_left_out(tmp_path: Path) -> None:
    facts = {"memory": {"total_gb": 25.3, "limit_gb": None}, "gpus": [], "cpu": {"bf16": False}}
    write_json(tmp_path / "e.json", facts | {"packages": {"torch": None}})
    rows, packages = environment_rows(tmp_path / "e.json")
    assert rows == [["memory", "total 25.3 GB"], ["cpu", "bf16 no"]]
    assert packages == [["torch", "–"]]


def test_a_test_split_in_its_own_units_keeps_them(tmp_path: Path) -> None:
    data = write_data(tmp_path, COUNTS, n=1)
    template = replace(COUNTS, unit="unitless", placement="cloud", cloud_unit="nm", spacing=(0.1,) * 3)
    write_json(data.grid, template.to_json())
    real, generated = report_scenes(data).split("</figure>")[:2]
    assert '"words": "10 µm × 10 µm × 2.5 µm"' in real
    assert '"words": "2.4 × 2.4 × 0.8"' in generated
