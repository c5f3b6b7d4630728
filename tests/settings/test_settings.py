"""Settings: what is refused and in which words, and that config.yaml, classes and schema agree."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import Field
from pydantic.fields import FieldInfo
from snakemake.utils import update_config

from voxgen.errors import InputError
from voxgen.settings.base import Section
from voxgen.settings.clouds import CloudSettings
from voxgen.settings.loading import canonical, checked, given_by, json_schema, load_settings, value_at
from voxgen.settings.sections import Settings

CONFIG = Path(__file__).parents[2] / "config"
OVERLAYS = sorted(path.name for path in CONFIG.glob("*.yaml") if path.name != "config.yaml")
CONDITION = "{condition: {label: true, covariates: [age], dropped: 0.0}}"
GUIDANCE = "{guidance: {scale: 2, interval: [0, 1]}}"
REFRESH = "python -m voxgen.settings.loading > config/schema.json"


def defaults() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CONFIG / "config.yaml").read_text())
    return content


def changed(yaml_text: str) -> Settings:
    """The defaults under an overlay, merged as Snakemake merges them."""
    config = defaults()
    update_config(config, yaml.safe_load(yaml_text))
    return load_settings(config)


def keys(model: type[Section] = Settings, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Path and field of every key that holds a value, not a section."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, Section):
            yield from keys(annotation, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def paths(config: dict[str, Any], stop: set[str], prefix: str = "") -> Iterator[str]:
    for name, value in config.items():
        if isinstance(value, dict) and prefix + name not in stop:
            yield from paths(value, stop, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_config_yaml_holds_every_key_and_no_other() -> None:
    known = {path for path, _ in keys()}
    assert set(paths(defaults(), known)) == known
    assert len(known) > 60


def test_defaults_load_with_their_values() -> None:
    settings = load_settings(defaults())
    assert isinstance(settings.data.grid.shape, tuple)
    given = json.loads(json.dumps(defaults()))
    assert given["autoencoder"]["kl"]["network"]["stem"] == "auto"
    given["autoencoder"]["kl"]["network"]["stem"] = [2, 2, 8]
    del given["autoencoder"]["vq"], given["prior"]["transformer"]
    kl = given["autoencoder"]["kl"]
    assert kl.pop("input_noise") is kl.pop("likelihood") is kl["network"].pop("factors") is None
    kl["losses"] = {name: term for name, term in kl["losses"].items() if term is not None}
    assert set(kl["losses"]) == {"l1", "kl"}
    for section in (given["prior"]["diffusion"], given["sampling"]):
        for name in [name for name, value in section.items() if value is None]:
            del section[name]
    assert settings.model_dump(mode="json") == given


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlays_are_valid(overlay: str) -> None:
    assert changed((CONFIG / overlay).read_text()) != load_settings(defaults())


@pytest.mark.parametrize(("path", "field"), [pytest.param(*key, id=key[0]) for key in keys()])
def test_every_key_has_a_description_and_no_default(path: str, field: FieldInfo) -> None:
    assert field.description, path
    assert field.is_required(), f"{path}: config.yaml is the only place of defaults"


def test_a_trained_autoencoder_says_itself_what_it_decodes() -> None:
    assert changed("autoencoder: {source: trained}\nsampling: {rates: true}").sampling.rates
    assert (
        changed(
            "autoencoder: {source: trained, kl: {likelihood: poisson, equivariance: null}}"
        ).autoencoder.source
        == "trained"
    )


def test_the_schema_file_is_that_of_the_settings() -> None:
    recorded = json.loads((CONFIG / "schema.json").read_text())
    assert recorded == json.loads(json.dumps(json_schema())), f"refresh it: {REFRESH}"


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        (
            "autoencoder: {kl: {losses: {l1: null}}}",
            r"kl\.losses\.l1: null, as are mse and dice: nothing ties",
        ),
        (
            "autoencoder: {kl: {losses: {mse: {weight: 1, foregrund: 1}}}}",
            r"losses\.mse\.foregrund: unknown key; did you mean foreground\?",
        ),
        (
            "autoencoder: {kl: {input_noise: {gaussian: 0, dropout: 0}}}",
            r"kl\.input_noise\.gaussian: 0, as is dropout: no noise at all; give null",
        ),
        ("sampling: {stps: 3}", r"sampling\.stps: unknown key; did you mean steps\?"),
        (
            "autoencoder: {kl: {network: {chanels: [8]}}}",
            r"autoencoder\.kl\.network\.chanels: .* mean channels\?",
        ),
        ("qqq: 1", "qqq: unknown key; known here: seed, data, autoencoder, .*machine"),
        (
            "autoencoder: {kl: {losses: {kl: {weight: 1e-4}}}}",
            r"losses\.kl\.weight: .*valid number, found '1e-4'; YAML reads 1e-4 as text: write 1\.0e-4",
        ),
        ("seed: 1.5", "seed: .*valid integer, found 1.5"),
        ("seed: -1", "seed: .*greater than or equal to 0, found -1"),
        ("machine: {compile: 1}", r"machine\.compile: .*valid boolean, found 1"),
        ("machine: {device: gpu}", r"machine\.device: .*'auto', 'cpu' or 'cuda', found 'gpu'"),
        ("data: 3", "data: .*object, found 3"),
        ("data: {key: 7}", r"data\.key: .*valid string, found 7"),
        ("data: {grid: {shape: [8, 8]}}", r"data\.grid\.shape\.2: "),
        ("data: {grid: {bounds: trian}}", r"data\.grid\.bounds: .*'train' or 'cloud', found 'trian'"),
        (
            "data: {grid: {bounds: [[0, 1], [3, 2], [0, 1]]}}",
            r"data\.grid\.bounds along y: min 3 is not below max 2",
        ),
        ("data: {grid: {bounds: [[0, .inf], [0, 1], [0, 1]]}}", r"bounds\.0\.1: .*finite"),
        ("autoencoder: {kl: {training: {learning_rate: .inf}}}", r"learning_rate: .*finite"),
        ("data: {split: {train: 0.5}}", r"data\.split\.train \+ val \+ test is 0\.75, expected 1"),
        ("data: {split: {train: 1.5}}", r"data\.split\.train: .*less than 1"),
        ("data: {source: h5}", r"data\.files: empty, but source is h5: give name: path"),
        ("data: {files: {a b: x.h5}}", r"data\.files\.a b: .*pattern"),
        ("data: {flips: [x, w]}", r"data\.flips\.1: .*'x', 'y' or 'z', found 'w'"),
        ("data: {flips: [x, y, x]}", r"data\.flips: x, y, x names an axis twice"),
        ("data: {synthetic: {filaments: [5, 2]}}", r"filaments: the fewest \(5\) exceed the most \(2\)"),
        (
            "autoencoder: {kl: {likelihood: poisson}}",
            r"autoencoder\.kl\.equivariance: likelihood poisson is of whole counts, .*give null",
        ),
        (
            "autoencoder: {kl: {likelihood: poisson, equivariance: null}}",
            r"autoencoder\.kl\.likelihood: poisson, but data\.grid\.method gaussian .*method: density",
        ),
        (
            "{autoencoder: {kl: {likelihood: poisson, equivariance: null}}, "
            "data: {grid: {method: occupancy}}}",
            r"kl\.likelihood: poisson, but data\.grid\.method occupancy stores 0 and 1",
        ),
        (
            "data: {source: spheres, grid: {shape: [64, 64, 64]}}\n"
            "autoencoder: {kl: {likelihood: poisson, equivariance: null}}",
            r"kl\.likelihood: poisson, but volumes of data\.source spheres are no counts .* to null",
        ),
        (
            "prior: {condition: {label: true, covariates: [], dropped: 0.1}, diffusion: {coupling: 8}}",
            r"prior\.diffusion\.coupling: 8, but with prior\.condition the noise of a class would not be",
        ),
        (
            "data: {source: spheres, covariates: [age], grid: {shape: [64, 64, 64]}}",
            r"data\.covariates: age, but those of data\.source spheres are columns of its list of scans",
        ),
        ("sampling: {temperature: 0.8}", r"sampling\.temperature: 0\.8, but prior\.kind diffusion has none"),
        ("sampling: {top_k: 5}", r"sampling\.top_k: 5, but prior\.kind diffusion has none; set it to null"),
        ("sampling: {rates: true}", r"sampling\.rates: true, but no counts .*kl\.likelihood: poisson"),
        (
            "sampling: {condition: {label: left}}",
            r"sampling\.condition: the prior is told nothing of its items; set prior\.condition, or this",
        ),
        (
            f"sampling: {GUIDANCE}",
            r"sampling\.guidance: the prior is told nothing",
        ),
        (f"prior: {CONDITION}", r"prior\.condition\.label: true, but data\.label is null"),
        (
            f"data: {{label: kind}}\nprior: {CONDITION}\nsampling: {{condition: {{size: 3}}}}",
            r"sampling\.condition: size; the prior is told of label, age alone",
        ),
        (
            f"data: {{label: kind}}\nprior: {CONDITION}\nsampling: {{condition: {{age: old}}}}",
            r"sampling\.condition\.age: 'old', expected a number",
        ),
        (
            f"data: {{label: kind}}\nprior: {CONDITION}\nsampling: {GUIDANCE}",
            r"sampling\.guidance: needs a prior that was shown items without .*dropped to 0\.1, say",
        ),
        (
            "sampling: {guidance: {scale: 2, interval: [0.5, 0.5]}}",
            r"sampling\.guidance\.interval: 0\.5 to 0\.5; give the smaller first",
        ),
        (
            "prior: {condition: {label: false, covariates: [], dropped: 0.1}}",
            r"prior\.condition\.label: false, and no covariates; name some",
        ),
        (
            "prior: {condition: {label: true, covariates: [age, age], dropped: 0.1}}",
            r"prior\.condition\.covariates: age, age; name each once",
        ),
        ("evaluation: {ssim_window: 6}", r"evaluation\.ssim_window: 6 is even"),
        ("autoencoder: {kl: {network: {channels: [], attention_levels: []}}}", "channels: empty"),
        (
            "autoencoder: {kl: {network: {channels: [8, 16], attention_levels: [true]}}}",
            "channels has 2 levels, attention_levels 1",
        ),
        (
            "autoencoder: {kl: {network: {channels: [16], attention_levels: [false], norm_groups: 5}}}",
            "norm_groups 5 does not divide the width 16",
        ),
        (
            "autoencoder: {vq: {network: {channels: [16, 32]}}}",
            r"vq\.network\.channels has 2 levels, res_channels 1",
        ),
        ("autoencoder: {vq: {network: {channels: [], res_channels: []}}}", "channels: empty"),
        (
            "autoencoder: {vq: {losses: {l1: null}}}",
            r"vq\.losses\.l1: null, as are mse and dice: nothing ties",
        ),
        ("autoencoder: {vq: {codebook: {restart: 1.0}}}", r"vq\.codebook\.restart: .*less than 1"),
        ("autoencoder: {kind: kv}", r"autoencoder\.kind: .*'kl' or 'vq', found 'kv'"),
        (
            "prior: {diffusion: {network: {channels: [64, 128], attention_levels: [false, true], "
            "head_channels: 48}}}",
            "head_channels 48 does not divide the width 128",
        ),
    ],
)
def test_refusals_name_the_key_and_what_was_found(overlay: str, message: str) -> None:
    with pytest.raises(InputError, match=f"config: .*{message}"):
        changed(overlay)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_shape_that_cannot_be_halved_is_refused_with_a_remedy(axis: int) -> None:
    networks = (
        "autoencoder: {kl: {network: {stem: [1, 1, 1], channels: [16, 16, 16], "
        "attention_levels: [false, false, false]}}}, "
        "prior: {diffusion: {network: {channels: [64, 64], attention_levels: [false, false]}}}"
    )
    shape = [64, 64, 64]
    shape[axis] = 42
    message = (
        f"42 voxels along {'xyz'[axis]} .* expected 1 or a multiple of 4 "
        r"\(stem 1 x 4 between levels\); try 40, or .*factors: "
    )
    with pytest.raises(InputError, match=message):
        changed(f"{{data: {{grid: {{shape: {shape}}}}}, {networks}}}")
    shape[axis] = 44  # latents of 11 voxels, which the denoiser pads
    settings = changed(f"{{data: {{grid: {{shape: {shape}}}}}, {networks}}}")
    assert settings.data.grid.shape[axis] == 44
    assert settings.autoencoder.factors(settings.data.seen_shape) == (4, 4, 4)
    assert settings.prior.chosen.network.factor == 2


STEM = (
    "autoencoder: {{patch: {patch}, kl: {{network: {{stem: [2, 1, 8], channels: [16, 16], "
    "attention_levels: [false, false]}}}}}}, "
    "prior: {{diffusion: {{network: {{channels: [64, 64], attention_levels: [false, false]}}}}}}, "
    "data: {{grid: {{shape: {shape}}}}}"
)


def stemmed(shape: list[int], patch: list[int] | None = None) -> Settings:
    return changed("{" + STEM.format(shape=shape, patch=patch or "null") + "}")


@pytest.mark.parametrize(
    ("shape", "patch", "factors"),
    [
        ([48, 48, 8], None, (4, 2, 8)),
        ([48, 48, 16], None, (4, 2, 16)),
        ([48, 48, 32], None, (4, 2, 16)),
        ([4, 2, 64], None, (4, 2, 16)),
        ([2, 1, 8], None, (2, 1, 8)),
        ([48, 48, 32], [8, 8, 8], (4, 2, 8)),
        ([48, 48, 8], [2, 8, 8], (2, 2, 8)),
    ],
)
def test_an_axis_of_one_voxel_after_the_stem_is_halved_no_more(
    shape: list[int], patch: list[int] | None, factors: tuple[int, ...]
) -> None:
    settings = stemmed(shape, patch)
    assert settings.autoencoder.factors(settings.data.seen_shape) == factors


@pytest.mark.parametrize(
    ("shape", "patch", "stem"),
    [
        ([48, 48, 8], "null", (2, 2, 8)),
        ([64, 64, 1], "null", (2, 2, 1)),
        ([5, 32, 32], "null", (5, 2, 2)),
        ([32, 32, 16], "null", (2, 2, 2)),
        ([64, 64, 16], "null", (2, 2, 2)),
        ([16, 16, 8], "null", (2, 2, 2)),
        ([48, 48, 48], "[32, 32, 8]", (2, 2, 8)),
    ],
)
def test_the_stem_of_itself_folds_thin_axes_whole(
    shape: list[int], patch: str, stem: tuple[int, ...]
) -> None:
    found = changed(f"{{data: {{grid: {{shape: {shape}}}}}, autoencoder: {{patch: {patch}}}}}").autoencoder
    assert found.chosen.network.stem == stem


@pytest.mark.parametrize(
    ("shape", "patch", "message"),
    [
        ([48, 48, 12], None, r"12 voxels along z .* expected 8 or a multiple of 16 .* try 8, or"),
        ([48, 48, 24], None, r"24 voxels along z .* try 32, or"),
        ([48, 48, 30], None, r"30 voxels along z .* try 32, or"),
        ([6, 48, 8], None, r"6 voxels along x .* expected 2 or a multiple of 4 .* try 8, or"),
        ([48, 48, 20], [8, 8, 8], r"20 voxels along z .* expected a multiple of 8 \(stem 8 x 1 between"),
        ([48, 48, 32], [8, 8, 12], r"patch: 12 voxels along z, expected 8 or a multiple of 16"),
    ],
)
def test_sizes_that_the_stem_does_not_fit_are_refused_with_legal_ones(
    shape: list[int], patch: list[int] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        stemmed(shape, patch)


@pytest.mark.parametrize(
    ("shape", "channels", "factors"),
    [
        ([48, 48, 8], [16], (4, 4, 8)),
        ([64, 64, 1], [16, 16], (8, 8, 1)),
        ([32, 32, 32], [16], (4, 4, 4)),
    ],
)
def test_every_level_of_codes_halves(
    shape: list[int], channels: list[int], factors: tuple[int, int, int]
) -> None:
    network = f"{{channels: {channels}, res_channels: {channels}}}"
    autoencoder = f"{{kind: vq, vq: {{network: {network}}}}}"
    settings = changed(f"{{data: {{grid: {{shape: {shape}}}}}, autoencoder: {autoencoder}}}")
    assert settings.autoencoder.factors(settings.data.seen_shape) == factors
    assert settings.autoencoder.chosen is settings.autoencoder.vq


CUBES = "shape: [32, 32, 32], bounds: [[0, 20], [0, 10], [-5, 5]]"


@pytest.mark.parametrize(
    ("data", "edges"),
    [
        (
            f"unit: um, rotations: [yz, xy], grid: {{{CUBES}}}",
            "xy .* 0.625 um along x into 0.3125 um along y",
        ),
        (
            "rotations: [xz], grid: {shape: [32, 32, 32], bounds: [[0, 100], [0, 100], [0, 102]]}",
            "xz .* 3.125 nm along x into 3.1875 nm along z",
        ),
        (
            "source: nifti, files: {a: a}, rotations: [yz], scans: {spacing: [1, 1, 2.5]}, "
            f"grid: {{{CUBES}}}",
            "yz .* 1 mm along y into 2.5 mm along z",
        ),
        (
            "rotations: [xy], train_shape: [32, 32, 8], grid: {shape: [64, 32, 8], bounds: cloud}",
            "xy .* 2 unitless along x into 1 unitless along y",
        ),
    ],
)
def test_a_turn_that_would_stretch_volumes_is_refused_with_both_edges(data: str, edges: str) -> None:
    with pytest.raises(InputError, match=rf"config: data\.rotations: {edges}; give them equal edges \(data"):
        changed(f"data: {{{data}}}")


@pytest.mark.parametrize(
    "data",
    [
        f"rotations: [yz], grid: {{{CUBES}}}",
        "rotations: [xz], grid: {shape: [32, 32, 32], bounds: [[0, 100], [0, 100], [0, 100.5]]}",
        "rotations: [xy], train_shape: [32, 32, 8], grid: {shape: [64, 32, 8], bounds: "
        "[[0, 100], [0, 100], [0, 10]]}",
        "rotations: [xy, xz, yz], grid: {shape: [32, 32, 32], bounds: cloud}",
        "source: nifti, files: {a: a}, rotations: [xy], scans: {spacing: [1, 1, 2.5]}",
    ],
)
def test_a_turn_of_equal_edges_needs_no_train_split(data: str) -> None:
    assert changed(f"data: {{{data}}}").data.turns_to_judge == ()


def test_a_turn_waits_for_the_extent_where_the_train_split_gives_the_bounds() -> None:
    shape = "grid: {shape: [64, 32, 8], bounds: train}, train_shape: [32, 32, 8]"
    assert changed(f"data: {{rotations: [xy], {shape}}}").data.turns_to_judge == (("xy", 32),)
    assert changed(f"data: {{{shape}}}").data.turns_to_judge == ()


def discriminated(shape: str, stem: str = "auto", equivariance: str = "null", **changes: object) -> Settings:
    adversary = {"weight": 0.1, "warmup_epochs": 0, "learning_rate": 1e-3, "channels": 8, "layers": 2}
    adversary |= {"scales": 1, "norm": "group", **changes}
    return changed(
        f"{{data: {{grid: {{shape: {shape}}}}}, autoencoder: {{kl: {{network: {{stem: {stem}}}, "
        f"equivariance: {equivariance}, losses: {{adversarial: {adversary}}}}}}}}}"
    )


@pytest.mark.parametrize(
    ("shape", "stem", "layers", "scales"),
    [
        ("[48, 48, 8]", "auto", 4, 1),
        ("[48, 48, 8]", "[2, 2, 8]", 2, 2),
        ("[48, 48, 8]", "[1, 1, 1]", 1, 1),
        ("[48, 32, 32]", "auto", 3, 1),
    ],
)
def test_as_many_layers_of_a_discriminator_as_each_axis_carries(
    shape: str, stem: str, layers: int, scales: int
) -> None:
    most = layers * scales
    made = discriminated(shape, stem, layers=layers, scales=scales).autoencoder.kl.losses.adversarial
    assert made is not None
    assert made.layers == layers
    axis = "z" if stem == "[1, 1, 1]" else "[xy]"
    with pytest.raises(
        InputError,
        match=rf"kl\.losses\.adversarial\.layers: {layers + 1} x {scales} scales, but \d+ voxels along {axis}"
        rf" carry {most} layers x scales at most; give fewer, or fold the axis whole",
    ):
        discriminated(shape, stem, layers=layers + 1, scales=scales)


def test_a_discriminator_fits_the_smallest_that_volumes_shrink_to() -> None:
    smaller = "{share: 0.1, smallest: 0.5}"
    discriminated("[48, 48, 8]", equivariance=smaller, layers=3)
    with pytest.raises(
        InputError, match=r"but 24 voxels along x \(shrunk by kl\.equivariance\) carry 3 layers"
    ):
        discriminated("[48, 48, 8]", equivariance=smaller, layers=4)


def test_axes_too_short_for_any_discriminator_are_named() -> None:
    with pytest.raises(InputError, match=r"but 4 voxels along z carry no discriminator"):
        discriminated("[48, 48, 4]", "[1, 1, 2]", layers=1)
    with pytest.raises(InputError, match=r"adversarial: no axis is left to a discriminator where"):
        discriminated("[2, 2, 8]", "[2, 2, 8]", layers=1)


def test_a_discriminator_that_never_begins_is_refused() -> None:
    with pytest.raises(InputError, match="warmup_epochs: 10, but the training ends after 10 epochs: the"):
        discriminated("[48, 48, 8]", warmup_epochs=10)


def test_any_of_three_terms_ties_a_reconstruction_to_its_volume() -> None:
    mse = "mse: {weight: 1.0, foreground: 2.0}"
    dice = "dice: {weight: 1.0, threshold: 0.5, softness: 0.1}"
    for name in (mse, dice):
        losses = changed(f"autoencoder: {{kl: {{losses: {{l1: null, {name}}}}}}}").autoencoder.kl.losses
        assert set(losses.model_dump()) == {name.partition(":")[0], "kl"}


NETWORK = "autoencoder: {{kl: {{network: {{stem: {}, factors: {}, channels: {}, attention_levels: {}}}}}}}"


def with_factors(factors: str, levels: int, shape: list[int], stem: str = "[1, 1, 1]") -> Settings:
    network = NETWORK.format(stem, factors, [8] * levels, ["false"] * levels).replace("'", "")
    return changed(f"{{{network}, data: {{grid: {{shape: {shape}}}}}}}")


@pytest.mark.parametrize(
    ("factors", "levels", "shape", "in_all"),
    [
        ("[4, 2]", 3, [64, 64, 32], (8, 8, 8)),
        ("[8, 2]", 3, [64, 64, 32], (16, 16, 16)),
        ("[16]", 2, [64, 64, 32], (16, 16, 16)),
        ("[[4, 4, 2], [2, 2, 1]]", 3, [64, 64, 32], (8, 8, 2)),
        ("[[4, 4, 2], 3]", 3, [96, 48, 1], (12, 12, 1)),
        ("[]", 1, [64, 64, 32], (1, 1, 1)),
        ("null", 3, [64, 64, 32], (4, 4, 4)),
    ],
)
def test_factors_and_channels_say_what_the_network_is(
    factors: str, levels: int, shape: list[int], in_all: tuple[int, ...]
) -> None:
    settings = with_factors(factors, levels, shape)
    assert settings.autoencoder.factors(settings.data.seen_shape) == in_all


@pytest.mark.parametrize(
    "factors",
    [
        "[0]",
        "[-2]",
        "[4.0]",
        '["4"]',
        "[true]",
        "4",
        "[[4, 4]]",
        "[[4, 0, 4]]",
        "[[[4, 4, 4]]]",
        "{x: 4}",
        "[null]",
    ],
)
def test_factors_that_are_none_are_refused_with_legal_ones(factors: str) -> None:
    message = (
        r"^config: autoencoder\.kl\.network\.factors: expected a list with one entry for each step between "
        r"levels, each a whole number from 1 on, or three along x, y, z, such as \[4, 2\] or "
        r"\[\[4, 4, 2\], \[2, 2, 1\]\], found [^\n]*$"
    )
    with pytest.raises(InputError, match=message):
        with_factors(factors, 2, [64, 64, 64])


@pytest.mark.parametrize("factors", ["[]", "[4, 2]"])
def test_factors_are_as_many_as_the_steps_between_levels(factors: str) -> None:
    with pytest.raises(
        InputError, match=r"network\.factors: \d for the 2 levels of channels, expected 1, one for"
    ):
        with_factors(factors, 2, [64, 64, 64])


@pytest.mark.parametrize(
    ("factors", "shape", "message"),
    [
        (
            "[4]",
            [64, 64, 42],
            r"42 voxels along z .* expected 1 or a multiple of 4 \(stem 1 x 4 between levels\); try 40, "
            r"or \{stem: \[2, 2, 1\], factors: \[\[2, 2, 3\]\]\} in autoencoder\.kl\.network, for latents "
            "of 8 to 32 voxels",
        ),
        (
            "[16]",
            [256, 256, 72],
            r"72 voxels along z .* or \{stem: \[2, 2, 2\], factors: \[\[8, 8, 2\]\]\} in",
        ),
        (
            "[[4, 4, 3]]",
            [64, 64, 64],
            r"64 voxels along z .* multiple of 3 .* \{stem: \[2, 2, 2\], factors: \[2\]",
        ),
        (
            "[2]",
            [101, 64, 64],
            r"101 voxels along x .* other factors in autoencoder\.kl\.network \(none make",
        ),
    ],
)
def test_a_grid_that_factors_do_not_divide_is_refused_with_others_that_do(
    factors: str, shape: list[int], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        with_factors(factors, 2, shape)


def test_codes_that_do_not_divide_a_grid_are_refused_without_factors() -> None:
    with pytest.raises(InputError, match=r"50 voxels along x .* or another stem, or fewer channels, in auto"):
        changed("{autoencoder: {kind: vq}, data: {grid: {shape: [50, 48, 8]}}}")


def test_a_transformer_is_a_prior_of_codes() -> None:
    with pytest.raises(
        InputError, match=r"prior\.kind: transformer .* but autoencoder\.kind kl has none; set"
    ):
        changed("prior: {kind: transformer}")
    both = "{{autoencoder: {{kind: vq, source: {}}}, prior: {{kind: transformer}}}}"
    assert changed(both.format("train")).prior.chosen.network.factor == 1
    assert (
        changed("{autoencoder: {source: some/folder}, prior: {kind: transformer}}").prior.kind
        == "transformer"
    )
    with pytest.raises(InputError, match=r"head_channels 48 does not divide the width 128"):
        changed("prior: {transformer: {network: {head_channels: 48}}}")


@pytest.mark.parametrize("given", ["temperature: 0.0", "temperature: -1.0", "top_k: 0"])
def test_draws_of_codes_have_bounds(given: str) -> None:
    name, _, value = given.partition(": ")
    with pytest.raises(InputError, match=rf"sampling\.{name}: .*{value}"):
        changed(f"sampling: {{{given}}}")


def test_a_patch_beyond_the_grid_is_refused() -> None:
    with pytest.raises(InputError, match=r"autoencoder\.patch: 64 voxels along x, but volumes have 48"):
        changed("autoencoder: {patch: [64, 16, 8]}")


def test_more_steps_than_the_process_has_are_refused() -> None:
    ddpm = "prior: {{diffusion: {{process: ddpm}}}}, sampling: {{steps: {}}}"
    assert changed(f"{{{ddpm.format(1000)}}}").sampling.steps == 1000
    with pytest.raises(InputError, match=r"sampling\.steps: 1001, but the process has 1000 steps"):
        changed(f"{{{ddpm.format(1001)}}}")
    assert changed("{sampling: {steps: 1001}}").sampling.steps == 1001


@pytest.mark.parametrize(
    ("diffusion", "sampling", "message"),
    [
        ("process: ddpm", "sampler: ddpm, steps: 119", r"fewer than 120 of sampler ddpm .*give 120 or more"),
        ("process: ddpm", "sampler: ddim, eta: 0.5, steps: 68", r"fewer than 69 of sampler ddim"),
        ("process: ddpm, schedule: linear", "steps: 19", r"fewer than 20 of sampler heun"),
        (
            "process: flow",
            "sampler: pndm, steps: 50",
            r"sampler: pndm, .*flow leaves .*expected one of euler,",
        ),
        (
            "process: ddpm, prediction: v, zero_snr: true",
            "sampler: pndm, steps: 50",
            r"sampler: pndm, .*zero_snr leaves .*expected one of euler,",
        ),
        (
            "process: ddpm, schedule: cosine",
            "sampler: heun, steps: 50",
            r"sampler: heun, .*cosine, epsilon leaves .*expected one of ddpm, or .*prediction: v or x0",
        ),
        ("process: flow", "eta: 0.5", r"sampling\.eta: 0\.5, but sampler heun has none; .*sampler: ddim"),
        (
            "coupling: 32",
            "sampler: sde, steps: 50",
            r"sampler: sde, .*coupling ties them; expected one of euler,",
        ),
        ("coupling: 32", "sampler: ddim, eta: 1.0, steps: 150", r"sampler: ddim, .*coupling .*without eta"),
        ("process: flow, prediction: v", "", r"diffusion\.prediction: v, but process flow has none; .*ddpm"),
        ("process: flow, zero_snr: true", "", r"zero_snr: True, but process flow has none"),
        ("process: ddpm, coupling: 8", "", r"coupling: 8, but process ddpm has none; .*process: flow"),
        ("process: ddpm, zero_snr: true", "", r"zero_snr: true, but .*epsilon.* set prediction: v or x0"),
        (
            "process: ddpm, prediction: v, zero_snr: true, min_snr: 5.0",
            "",
            r"zero_snr: true, but min_snr: 5\.0 gives .*no weight.* set one of them to null",
        ),
        ("coupling: 1", "", r"coupling: .*greater than or equal to 2"),
    ],
)
def test_processes_and_samplers_that_do_not_suit_are_refused(
    diffusion: str, sampling: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        changed(f"{{prior: {{diffusion: {{{diffusion}}}}}, sampling: {{{sampling}}}}}")


def test_a_sampler_of_a_prior_from_elsewhere_is_judged_by_its_folder() -> None:
    elsewhere = "autoencoder: {source: here}, prior: {source: there}, sampling: {sampler: pndm, steps: 30}"
    assert changed(f"{{{elsewhere}}}").sampling.sampler == "pndm"


def test_a_process_with_its_keys_null_is_stored_as_it_was_before_them() -> None:
    assert set(load_settings(defaults()).prior.model_dump()["diffusion"]) == {
        "process",
        "network",
        "training",
    }


@pytest.mark.parametrize("process", ["flow", "ddpm"])
def test_fewer_steps_than_the_spread_of_latents_needs_are_refused(process: str) -> None:
    overlay = f"prior: {{diffusion: {{process: {process}}}}}, sampling: "
    assert changed(f"{{{overlay}{{steps: 5}}}}").sampling.steps == 5
    with pytest.raises(
        InputError, match=r"sampling\.steps: 4, but with fewer than 5 of sampler heun .* 3 %; give 5 or more"
    ):
        changed(f"{{{overlay}{{steps: 4}}}}")


def test_a_missing_key_points_at_config_yaml() -> None:
    config = defaults()
    del config["sampling"]["steps"]
    with pytest.raises(InputError, match=r"sampling\.steps: missing; config/config\.yaml"):
        load_settings(config)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(InputError, match=r"(?s)config: seed: .*\nconfig: sampling\.stps: "):
        changed("{seed: -1, sampling: {stps: 3}}")


def test_a_yaml_date_is_text() -> None:
    assert changed("data: {label: 2024-05-01}").data.label == "2024-05-01"


def test_canonical_does_not_depend_on_any_order() -> None:
    config = defaults()
    turned = {name: config[name] for name in reversed(config)}
    turned["data"] = {name: config["data"][name] for name in reversed(config["data"])}
    settings, again = load_settings(config), load_settings(turned)
    given = {"seed": "seed", "grid": "data.grid", "settings": "sampling"}
    text = canonical(settings, given, code="c", more="m")
    assert text == canonical(again, {name: given[name] for name in reversed(given)}, more="m", code="c")
    assert json.loads(text)["settings"]["data.grid"]["shape"] == config["data"]["grid"]["shape"]


@pytest.mark.parametrize(
    "overlay", ["seed: 77", "data: {grid: {sigma: 1.52}}", "data: {grid: {bounds: cloud}}"]
)
def test_canonical_tells_values_apart(overlay: str) -> None:
    given, other = {"seed": "seed", "grid": "data.grid"}, {"settings": "sampling"}
    assert canonical(changed(overlay), given) != canonical(load_settings(defaults()), given)
    text = canonical(changed(overlay), other, code="1")
    assert text == canonical(load_settings(defaults()), other, code="1")
    assert text != canonical(load_settings(defaults()), other, code="2")


def test_what_is_given_is_what_is_declared_in_its_own_type() -> None:
    settings = load_settings(defaults())
    given = {"settings": "data.clouds", "shape": "data.grid.shape", "whole": "science"}
    found = given_by(settings, canonical(settings, given))
    assert found == {
        "settings": settings.data.clouds,
        "shape": settings.data.grid.shape,
        "whole": settings.model_dump(mode="json", exclude={"machine"}),
    }
    assert type(found["settings"]) is CloudSettings
    with pytest.raises(InputError, match=r"there is no data\.grd\.shape: no grd in DataSettings"):
        canonical(settings, {"shape": "data.grd.shape"})


class Round(Section):
    """One kind."""

    kind: Literal["round"]
    radius: float


class Square(Section):
    """Another kind."""

    kind: Literal["square"]
    edge: float


class Drawing(Section):
    """A union by its tag, an optional section, and a list of either kind."""

    shape: Annotated[Round | Square, Field(discriminator="kind")]
    frame: Square | None
    shapes: tuple[Round | Square, ...]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": {"kind": "square", "egde": 1.0}}, r"config: shape\.egde: unknown key; did you mean edge"),
        ({"shape": {"kind": "oval"}}, "config: shape: .*'oval' .*'round', 'square'"),
        ({"frame": {"kind": "square", "egde": 1.0}}, r"config: frame\.egde: unknown key; did you mean edge"),
        ({"frame": 3}, "config: frame: .*object, found 3"),
        (
            {"shapes": [{"kind": "round", "x": 1.0}]},
            r"config: shapes\.0\.x: unknown key; known here: kind, rad",
        ),
        ({"farme": None}, r"config: farme: unknown key; did you mean frame"),
    ],
)
def test_keys_of_unions_and_optional_sections_are_told_as_well(changes: dict[str, Any], message: str) -> None:
    whole = {"shape": {"kind": "round", "radius": 1.0}, "frame": None, "shapes": []}
    assert value_at(checked(Drawing, whole), "frame.edge") is None
    with pytest.raises(InputError, match=message):
        checked(Drawing, whole | changes)
