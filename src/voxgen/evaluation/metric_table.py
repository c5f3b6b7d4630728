"""The table of all metrics. A new one is a function in `voxgen.metrics`, an entry here, and a test.

Scoring, verdicts, report and comparison look everything up here, or in the JSON that was written from it.
"""

from voxgen.evaluation.metric import Complaint, Entry, Gate, Metric, Score
from voxgen.metrics import distributions, point_clouds, similarity, structure, volume_statistics
from voxgen.metrics import reconstruction as rebuilt
from voxgen.metrics.classifier import classifier_test, told_apart
from voxgen.metrics.permutation import of_gap, of_neighbours, of_scalars

GROUPS = {  # in the order of their headings; those without one stand by themselves
    "": "",
    "volumes": "Voxels",
    "structure": "Structure",
    "diversity": "Diversity",
    "features": "Features of a network",
    "clouds": "Point clouds",
    "latents": "Latents",
}
WHOLE = "over the whole volume; empty space raises it"
MEAN_ERROR = "mean over the whole volume, network range"
RELATIVE = "relative difference of the mean "
GRADIENT = "gradient over intensity; below 0: blurred"
LONGER = "train the prior for longer; if the ceiling is as far off, the autoencoder first"
NEAR_TEST = "fails beyond {0:.3g} % more or less than in test volumes"


def _of_volumes(
    key: str, label: str, meaning: str, complaint: Complaint | None = None, group: str = "volumes"
) -> Entry:
    """One number per volume, whose whole distribution is tested; its mean is shown. No complaint, no gate."""
    return Entry(
        key,
        Metric(label, "%", "towards 0", RELATIVE + meaning, group),
        Score(volume_statistics.relative_difference, key, "pair", label, of_scalars),
        Gate(key, NEAR_TEST) if complaint else None,
        complaint,
    )


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
            Score(distributions.KernelDistance, kind, "counted", "kernel", distributions.kernel_test),
        ),
    )


def _of_clouds(
    key: str,
    name: str,
    unit: str,
    clouds: str,
    gate: Gate | None = None,
    complaint: Complaint | None = None,
) -> tuple[Entry, ...]:
    """The three scores under one distance between clouds."""
    nearest = f"share of clouds whose nearest neighbour is in their own set; {clouds}"
    covered = f"share of test clouds that are nearest to some cloud; {clouds}"
    matched = f"mean distance from test clouds to the nearest cloud; {clouds}"
    return (
        Entry(
            f"1-nna {key}",
            Metric(f"1-NNA, {name}", "%", "towards 0.5", nearest, "clouds"),
            Score(
                point_clouds.nearest_neighbour_correct,
                f"{key}.a_NN {key}.b_MM {key}.across_NM",
                purpose="1-nna",
                test=of_neighbours,
                together=point_clouds.mutual_neighbours,
            ),
            gate,
            complaint,
        ),
        Entry(
            f"coverage {key}",
            Metric(f"coverage, {name}", "%", "higher", covered, "clouds"),
            Score(
                point_clouds.coverage,
                f"{key}.across_NM",
                purpose="coverage",
                test=point_clouds.coverage_test,
            ),
        ),
        Entry(
            f"mmd {key}",
            Metric(f"minimum matching, {name}", unit, "lower", matched, "clouds"),
            Score(
                point_clouds.minimum_matching,
                f"{key}.across_NM",
                "across",
                purpose="mmd",
                test=point_clouds.matching_test,
            ),
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
        "cl_dice",
        Metric("clDice", "", "higher", "overlap of each one's centre lines with the other's pieces, {solid}"),
        Score(structure.cl_dice, "x r"),
    ),
    Entry(
        "length",
        Metric("skeleton length", "%", "towards 0", "relative difference of the length of all skeletons"),
        Score(structure.relative_length, "x r spacing"),
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
        Metric(
            "density histogram",
            "",
            "lower",
            "Wasserstein-1 of foreground, network range; what is above 2 counts as 2",
            "volumes",
        ),
        Score(
            volume_statistics.histogram_distance,
            "histograms",
            "jackknife",
            "density histogram",
            volume_statistics.histogram_test,
        ),
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
        Score(
            volume_statistics.spectrum_distance,
            "spectra",
            "jackknife",
            "power spectrum",
            volume_statistics.spectrum_test,
        ),
    ),
    _of_volumes(
        "counts",
        "total counts",
        "number of counts in a volume",
        Complaint("volumes hold {0} too few counts", "volumes hold {0} too many counts", LONGER),
    ),
    _of_volumes(
        "occupancy",
        "occupancy",
        "share of occupied voxels",
        Complaint("volumes are filled {0} too little", "volumes are filled {0} too much", LONGER),
    ),
    _of_volumes(
        "sharpness",
        "sharpness",
        GRADIENT,
        Complaint(
            "edges are {0} too soft",
            "edges are {0} too steep, or there is noise",
            f"{LONGER}, or at a smaller factor",
        ),
    ),
    _of_volumes(
        "specks",
        "specks",
        "number of pieces smaller than 8 voxels, {above}: single points, clutter",
        Complaint(
            "there are {0} too few specks: the clutter of real volumes is missing",
            "there are {0} too many specks",
            LONGER,
        ),
        "structure",
    ),
    _of_volumes(
        "pieces",
        "pieces",
        "number of connected pieces of at least 8 voxels, {solid}",
        Complaint(
            "there are {0} too few separate pieces: what real volumes keep apart is joined",
            "there are {0} too many separate pieces: structure is torn",
            LONGER,
        ),
        "structure",
    ),
    _of_volumes(
        "length",
        "skeleton length",
        "length of all skeletons of a volume's pieces",
        Complaint("lines are {0} too short in all", "lines are {0} too long in all", LONGER),
        "structure",
    ),
    _of_volumes(
        "longest",
        "longest line",
        "longest way along a skeleton in a volume",
        Complaint(
            "the longest line of a volume is {0} too short: lines are broken",
            "the longest line of a volume is {0} too long: lines that end are joined",
            LONGER,
        ),
        "structure",
    ),
    _of_volumes(
        "thickness",
        "thickness",
        "diameter of cylinders as long as the skeletons, with the volume of the pieces",
        Complaint("structures are {0} too thin", "structures are {0} too thick", LONGER),
        "structure",
    ),
    _of_volumes(
        "loops", "loops", "first Betti number of the pieces: holes to look through", group="structure"
    ),
    _of_volumes(
        "cavities", "cavities", "second Betti number of the pieces: enclosed holes", group="structure"
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
        Score(distributions.gap_of_pairs, "similarity.a_NN similarity.b_MM", "counted", test=of_gap),
        Gate("diversity", "fails where they are more than {0:.3g} more alike or less alike"),
        Complaint(
            "samples resemble each other less than real volumes do (mean MS-SSIM {0} lower)",
            "samples resemble each other more than real volumes do (mean MS-SSIM {0} higher)",
            "more train volumes or views (data.flips, data.rotations), or a longer training of the prior",
        ),
    ),
    Entry(
        "classifier",
        Metric(
            "classifier",
            "%",
            "towards 0.5",
            "volumes that a linear classifier takes for what they are, of {told} features: those of networks "
            "and all numbers per volume; on volumes that it was not trained on",
            "features",
        ),
        Score(told_apart, "told.a_NF told.b_MF", purpose="classifier", test=classifier_test),
        Gate("classifier", "fails more than {0:.3g} points away from 50 %"),
        Complaint("", "a classifier tells samples from real volumes {0} too often", LONGER),
    ),
    *_of_features("autoencoder"),
    *_of_features("MedicalNet"),
    *_of_clouds(
        "chamfer",
        "Chamfer",
        "{area}",
        "clouds of {points} points",
        Gate("nearest_neighbour", "fails more than {0:.3g} points away from 50 %"),
        Complaint(
            "",
            "samples and real volumes do not mix: clouds have a neighbour of their own kind {0} too often",
            LONGER,
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
        Score(
            point_clouds.jensen_shannon,
            "cells",
            "jackknife",
            "Jensen-Shannon divergence",
            point_clouds.divergence_test,
        ),
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
    "share of samples closer to one train volume, beside the next ones, than all but 1 % of real volumes",
)
MEMORISED_GATE = Gate("memorised", "fails above {0:.3g} %")
