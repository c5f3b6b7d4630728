"""The table of all metrics. A new one is a function in `voxgen.metrics`, an entry here, and a test.

Scoring, verdicts, report and comparison look everything up here, or in the JSON that was written from it.
"""

from voxgen.evaluation.metric import Entry, Gate, Metric, Score
from voxgen.metrics import distributions, point_clouds, similarity, volume_statistics
from voxgen.metrics import reconstruction as rebuilt

GROUPS = {  # in the order of their headings; those without one stand by themselves
    "": "",
    "volumes": "Voxels",
    "diversity": "Diversity",
    "features": "Features of a network",
    "clouds": "Point clouds",
    "latents": "Latents",
}
WHOLE = "over the whole volume; empty space raises it"
MEAN_ERROR = "mean over the whole volume, network range"
RELATIVE = "relative difference of the mean "
GRADIENT = "gradient over intensity; below 0: blurred"
NEAR_TEST = "within {0:.3g} % of test volumes, fails beyond {1:.3g} %"


def _of_mean(items: str, purpose: str) -> Score:
    return Score(volume_statistics.relative_difference, items, "pair", purpose)


def _of_features(kind: str) -> tuple[Entry, Entry]:
    """Both distances of one kind of features."""
    label, of = f"Fréchet distance, {kind}", f"of {{{kind}}} features ({kind})"
    biased = f"{of}; biased upwards for few volumes, so only beside its floor"
    unbiased = f"{of}, unbiased: 0 on average for one distribution, by chance below"
    return (
        Entry(
            f"frechet {kind}",
            Metric(label, "", "lower", biased, "features"),
            Score(distributions.frechet_distance, kind, "jackknife", label),
        ),
        Entry(
            f"kernel {kind}",
            Metric(f"kernel distance, {kind}", "", "towards 0", unbiased, "features"),
            Score(distributions.KernelDistance, kind, "counted", "kernel"),
        ),
    )


def _of_clouds(key: str, name: str, unit: str, clouds: str, gate: Gate | None = None) -> tuple[Entry, ...]:
    """The three scores under one distance between clouds."""
    nearest = f"share of clouds whose nearest neighbour is in their own set; {clouds}"
    covered = f"share of test clouds that are nearest to some cloud; {clouds}"
    matched = f"mean distance from test clouds to the nearest cloud; {clouds}"
    return (
        Entry(
            f"1-nna {key}",
            Metric(f"1-NNA, {name}", "%", "towards 0.5", nearest, "clouds"),
            Score(point_clouds.nearest_neighbour_correct, f"{key} {key}_test {key}_across", purpose="1-nna"),
            gate,
        ),
        Entry(
            f"coverage {key}",
            Metric(f"coverage, {name}", "%", "higher", covered, "clouds"),
            Score(point_clouds.coverage, f"{key}_across", purpose="coverage"),
        ),
        Entry(
            f"mmd {key}",
            Metric(f"minimum matching, {name}", unit, "lower", matched, "clouds"),
            Score(point_clouds.minimum_matching, f"{key}_across", purpose="mmd"),
        ),
    )


RECONSTRUCTION = (
    Entry(
        "ssim",
        Metric("SSIM", "", "higher", "windows of {window} voxels on the foreground, dilated by {dilation}"),
        Score(similarity.ssim, "x r mask window"),
        Gate("ssim", "at least {0:g}, fails below {1:g}"),
    ),
    Entry(
        "ms_ssim",
        Metric("MS-SSIM", "", "higher", "windows of {window} voxels at {scales} scales, " + WHOLE),
        Score(similarity.ms_ssim, "x r window"),
    ),
    Entry("psnr", Metric("PSNR", "dB", "higher", WHOLE), Score(rebuilt.psnr, "x r")),
    Entry("l1", Metric("L1 error", "", "lower", MEAN_ERROR), Score(rebuilt.l1, "x r")),
    Entry("mse", Metric("squared error", "", "lower", MEAN_ERROR), Score(rebuilt.mse, "x r")),
    Entry(
        "dice",
        Metric("Dice", "", "higher", "overlap {above}"),
        Score(rebuilt.dice, "stored_x stored_r threshold"),
    ),
    Entry(
        "iou",
        Metric("IoU", "", "higher", "intersection over union {above}"),
        Score(rebuilt.iou, "stored_x stored_r threshold"),
    ),
    Entry(
        "count_error",
        Metric("count error", "%", "lower", "relative error of a volume's total count"),
        Score(rebuilt.count_error, "counts_x counts_r"),
        Gate("count_error", "at most {0:.3g} %, fails above {1:.3g} %"),
    ),
    Entry(
        "sharpness",
        Metric("sharpness", "%", "towards 0", "relative difference of " + GRADIENT),
        Score(rebuilt.relative_sharpness, "x r occupied"),
    ),
)

SAMPLES = (
    Entry(
        "histogram",
        Metric("density histogram", "", "lower", "Wasserstein-1 of foreground, network range", "volumes"),
        Score(volume_statistics.histogram_distance, "histograms", "jackknife", "density histogram", "upper"),
    ),
    Entry(
        "spectrum",
        Metric(
            "power spectrum",
            "dB",
            "lower",
            "mean difference over {counted} of {shells} shells of spatial frequency: those in which test "
            "volumes have more than a millionth of their strongest power",
            "volumes",
        ),
        Score(volume_statistics.spectrum_distance, "spectra", "jackknife", "power spectrum"),
    ),
    Entry(
        "occupancy",
        Metric("occupancy", "%", "towards 0", RELATIVE + "share of occupied voxels", "volumes"),
        _of_mean("occupancy", "occupancy"),
        Gate("occupancy", NEAR_TEST),
    ),
    Entry(
        "sharpness",
        Metric("sharpness", "%", "towards 0", RELATIVE + GRADIENT, "volumes"),
        _of_mean("sharpness", "sharpness"),
        Gate("sharpness", NEAR_TEST),
    ),
    Entry(
        "pieces",
        Metric("connected components", "%", "towards 0", RELATIVE + "number per foreground", "volumes"),
        _of_mean("pieces", "connected components"),
    ),
    Entry(
        "diversity",
        Metric(
            "diversity",
            "",
            "towards 0",
            "mean MS-SSIM (windows of {window} voxels) between volumes of the set, minus that between test "
            "volumes; above 0: too alike",
            "diversity",
        ),
        Score(distributions.gap_of_pairs, "similarity", "counted"),
    ),
    *_of_features("autoencoder"),
    *_of_features("MedicalNet"),
    *_of_clouds(
        "chamfer",
        "Chamfer",
        "{area}",
        "clouds of {points} points",
        Gate(
            "nearest_neighbour",
            "at most {0:.3g} points farther from 50 % than the floor, fails above {1:.3g}",
            beyond="train",
        ),
    ),
    *_of_clouds("emd", "earth mover's", "{length}", "{matched_clouds} clouds of {matched_points} points"),
    Entry(
        "jsd",
        Metric(
            "Jensen-Shannon divergence",
            "bits",
            "lower",
            "of where points lie, all clouds pooled, 0 to 1; {points} points per cloud",
            "clouds",
        ),
        Score(point_clouds.jensen_shannon, "cells", "jackknife", "Jensen-Shannon divergence"),
    ),
)

LATENT_STD = Metric(
    "standard deviation of latents",
    "",
    "towards 1",
    "of all sampled latents, whitened: 1 is right; it has no interval, so it is not compared",
    "latents",
)
LATENT_GATE = Gate("latent_std", "within {0:.3g} of 1, fails beyond {1:.3g}")

MEMORISED = Metric(
    "share of memorised samples",
    "%",
    "lower",
    "share of samples nearer to a train volume than 1 % of test volumes are",
)
MEMORISED_GATE = Gate(
    "memorised", "at most {0:.3g} points above the expected {expected}, fails above {1:.3g}", "expected"
)
