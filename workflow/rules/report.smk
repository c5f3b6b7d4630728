# What people look at.
# Reads: histories, scores, volumes, models. Writes: results/figures/, results/report.html.


rule plot_history:
    """Draw the losses of a training."""
    input:
        history="results/{training}/history.csv",
    output:
        report(
            "results/figures/{training}/history.png",
            caption="../report/history.rst",
            category="Training",
            labels={"training": "{training}"},
        ),
    log:
        "results/logs/plot_history/{training}.log",
    benchmark:
        "results/benchmarks/plot_history/{training}.tsv"
    params:
        science=science("plot_history"),
    script:
        "../scripts/plot_history.py"


rule plot_reconstructions:
    """Draw the best, the median and the worst reconstruction beside their inputs."""
    input:
        scores="results/evaluation/reconstruction.json",
        reconstructions="results/evaluation/reconstructions",
        test=TEST,
        grid="results/voxels/grid.json",
    output:
        report(
            "results/figures/reconstructions.png",
            caption="../report/reconstructions.rst",
            category="Scores",
        ),
    log:
        "results/logs/plot_reconstructions.log",
    benchmark:
        "results/benchmarks/plot_reconstructions.tsv"
    params:
        science=science("plot_reconstructions"),
    script:
        "../scripts/plot_reconstructions.py"


rule plot_spectrum:
    """Draw the power spectra of samples and of real volumes."""
    input:
        scores="results/evaluation/samples.json",
    output:
        report(
            "results/figures/spectrum.png",
            caption="../report/spectrum.rst",
            category="Scores",
        ),
    log:
        "results/logs/plot_spectrum.log",
    benchmark:
        "results/benchmarks/plot_spectrum.tsv"
    params:
        science=science("plot_spectrum"),
    script:
        "../scripts/plot_spectrum.py"


rule plot_memorisation:
    """Draw the samples that are nearest to the train split beside their neighbours."""
    input:
        scores="results/evaluation/memorisation.json",
        samples="results/samples",
        train="results/voxels/train",
        latents=TRAIN_LATENTS,
        grid="results/voxels/grid.json",
    output:
        report(
            "results/figures/memorisation.png",
            caption="../report/memorisation.rst",
            category="Scores",
        ),
    log:
        "results/logs/plot_memorisation.log",
    benchmark:
        "results/benchmarks/plot_memorisation.tsv"
    params:
        science=science("plot_memorisation"),
    script:
        "../scripts/plot_memorisation.py"


rule report:
    """Put settings, scores, figures and samples to turn by hand on one page that opens offline."""
    input:
        summary="results/evaluation/summary.json",
        reconstruction="results/evaluation/reconstruction.json",
        scores="results/evaluation/samples.json",
        memorisation="results/evaluation/memorisation.json",
        conditions=CONDITIONS,
        samples="results/samples",
        preview="results/samples/preview.png",
        splits=expand("results/voxels/{split}.csv", split=SPLITS),
        test="results/voxels/test",
        dropped=["results/clouds/dropped.csv", "results/voxels/dropped.csv"],
        data="results/voxels/preview.png",
        reconstructions="results/figures/reconstructions.png",
        spectrum="results/figures/spectrum.png",
        pairs="results/figures/memorisation.png",
        histories=expand("results/figures/{training}/history.png", training=TRAININGS),
        grid="results/voxels/grid.json",
        intensity="results/voxels/intensity.json",
        autoencoder=AUTOENCODER[0],
        scale="results/latents/scale.json",
        prior=PRIOR[0],
    output:
        report("results/report.html", caption="../report/report.rst", category="Report"),
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    params:
        science=science("report", settings="science"),
    script:
        "../scripts/report.py"
