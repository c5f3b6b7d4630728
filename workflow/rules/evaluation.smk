# How good it is.
# Reads: the test and train splits, the autoencoder, the samples, the histories.
# Writes: results/evaluation/ (scores, reconstructions), results/figures/, results/report.html.


rule evaluate_reconstruction:
    """Score the autoencoder on the test split, beside trivial baselines."""
    input:
        manifest="results/voxels/test.csv",
        folder="results/voxels/test",
        model=f"{AUTOENCODER}/model.safetensors",
        config=f"{AUTOENCODER}/config.json",
    output:
        scores="results/evaluation/reconstruction.json",
        volumes=directory("results/evaluation/reconstructions"),
    log:
        "results/logs/evaluate_reconstruction.log",
    benchmark:
        "results/benchmarks/evaluate_reconstruction.tsv"
    threads: MACHINE.threads
    resources:
        mem_mb=MACHINE.memory_mb,
        runtime=MACHINE.runtime_minutes,
        gpu=GPUS,
    params:
        science=science("evaluate_reconstruction", "evaluation", "seed"),
    script:
        "../scripts/evaluate_reconstruction.py"


rule evaluate_samples:
    """Score the samples against the test split, beside the floor of train against test."""
    input:
        samples="results/samples",
        table="results/samples/samples.csv",
        train="results/voxels/train.csv",
        train_folder="results/voxels/train",
        test="results/voxels/test.csv",
        test_folder="results/voxels/test",
        grid="results/voxels/grid.json",
        intensity="results/voxels/intensity.json",
    output:
        scores="results/evaluation/samples.json",
    log:
        "results/logs/evaluate_samples.log",
    benchmark:
        "results/benchmarks/evaluate_samples.tsv"
    threads: MACHINE.threads
    resources:
        mem_mb=MACHINE.memory_mb,
        runtime=MACHINE.runtime_minutes,
        gpu=GPUS,
    params:
        science=science("evaluate_samples", "evaluation", "seed"),
    script:
        "../scripts/evaluate_samples.py"


rule plot_history:
    """Draw the losses of a training."""
    input:
        "results/{training}/history.csv",
    output:
        "results/figures/{training}/history.png",
    log:
        "results/logs/plot_history/{training}.log",
    benchmark:
        "results/benchmarks/plot_history/{training}.tsv"
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        science=science("plot_history"),
    script:
        "../scripts/plot_history.py"


rule plot_reconstructions:
    """Draw the best, the median and the worst reconstruction beside their inputs."""
    input:
        scores="results/evaluation/reconstruction.json",
        volumes="results/evaluation/reconstructions",
        manifest="results/voxels/test.csv",
        folder="results/voxels/test",
        grid="results/voxels/grid.json",
    output:
        "results/figures/reconstructions.png",
    log:
        "results/logs/plot_reconstructions.log",
    benchmark:
        "results/benchmarks/plot_reconstructions.tsv"
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        science=science("plot_reconstructions"),
    script:
        "../scripts/plot_reconstructions.py"


rule report:
    """Put settings, scores and figures on one page that opens offline."""
    input:
        reconstruction="results/evaluation/reconstruction.json",
        samples="results/evaluation/samples.json",
        preview="results/samples/preview.png",
        reconstructions="results/figures/reconstructions.png",
        histories=expand("results/figures/{training}/history.png", training=TRAININGS),
    output:
        "results/report.html",
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        science=science(
            "report",
            "data",
            "autoencoder",
            "diffusion",
            "sampling",
            "evaluation",
            "seed",
        ),
    script:
        "../scripts/report.py"
