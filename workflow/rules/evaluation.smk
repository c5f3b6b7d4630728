# How good it is, in numbers.
# Reads: the three splits' volumes and latents, the autoencoder, the samples.
# Writes: results/evaluation/ (scores, reconstructions, verdicts).


rule evaluate_reconstruction:
    """Score the autoencoder on the test split, beside trivial baselines."""
    input:
        test=TEST,
        autoencoder=AUTOENCODER,
    output:
        scores="results/evaluation/reconstruction.json",
        reconstructions=directory("results/evaluation/reconstructions"),
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
    """Score the samples against the test split, beside what train and rebuilt volumes reach."""
    input:
        samples=["results/samples/samples.csv", "results/samples"],
        train=TRAIN,
        test=TEST,
        grid="results/voxels/grid.json",
        intensity="results/voxels/intensity.json",
        autoencoder=AUTOENCODER,
        medicalnet=MEDICALNET,
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


rule evaluate_memorisation:
    """Look for copies of train volumes among the samples."""
    input:
        samples=["results/samples/samples.csv", "results/samples"],
        train=TRAIN,
        test=TEST,
        latents=TRAIN_LATENTS,
        scale="results/latents/scale.json",
        grid="results/voxels/grid.json",
        intensity="results/voxels/intensity.json",
        autoencoder=AUTOENCODER,
    output:
        scores="results/evaluation/memorisation.json",
    log:
        "results/logs/evaluate_memorisation.log",
    benchmark:
        "results/benchmarks/evaluate_memorisation.tsv"
    threads: MACHINE.threads
    resources:
        mem_mb=MACHINE.memory_mb,
        runtime=MACHINE.runtime_minutes,
        gpu=GPUS,
    params:
        science=science(
            "evaluate_memorisation",
            "evaluation.confidence",
            "evaluation.permutations",
            "seed",
            longest="evaluation.pooled",
        ),
    script:
        "../scripts/evaluate_memorisation.py"


rule summarise:
    """Hold the scores against the gates: a verdict for each section."""
    input:
        reconstruction="results/evaluation/reconstruction.json",
        samples="results/evaluation/samples.json",
        memorisation="results/evaluation/memorisation.json",
    output:
        "results/evaluation/summary.json",
    log:
        "results/logs/summarise.log",
    benchmark:
        "results/benchmarks/summarise.tsv"
    params:
        science=science("summarise", "gates", settings="science"),
    script:
        "../scripts/summarise.py"


rule check_verdict:
    """End the run with an error where the evaluation failed; asked for by gates.stop_on_fail."""
    input:
        "results/report.html",
        summary="results/evaluation/summary.json",
    output:
        "results/evaluation/verdict.txt",
    log:
        "results/logs/check_verdict.log",
    benchmark:
        "results/benchmarks/check_verdict.tsv"
    params:
        science=science("check_verdict"),
    script:
        "../scripts/check_verdict.py"
