# How good it is, in numbers.
# Reads: the three splits' volumes and latents, the autoencoder, the samples.
# Writes: results/evaluation/ (scores, reconstructions, verdicts).


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
        science=science("evaluate_reconstruction", *MEASURES, "seed"),
    script:
        "../scripts/evaluate_reconstruction.py"


rule evaluate_samples:
    """Score the samples against the test split, beside what train and rebuilt volumes reach."""
    input:
        samples="results/samples",
        table="results/samples/samples.csv",
        train="results/voxels/train.csv",
        train_folder="results/voxels/train",
        test="results/voxels/test.csv",
        test_folder="results/voxels/test",
        grid="results/voxels/grid.json",
        intensity="results/voxels/intensity.json",
        model=f"{AUTOENCODER}/model.safetensors",
        config=f"{AUTOENCODER}/config.json",
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
        science=science("evaluate_samples", *MEASURES, "seed"),
    script:
        "../scripts/evaluate_samples.py"


rule evaluate_memorisation:
    """Look for copies of train volumes among the samples."""
    input:
        samples="results/samples",
        table="results/samples/samples.csv",
        train="results/voxels/train.csv",
        train_folder="results/voxels/train",
        test="results/voxels/test.csv",
        test_folder="results/voxels/test",
        latents="results/latents/train",
        latents_config="results/latents/train/config.json",
        latents_index="results/latents/train/index.csv",
        scale="results/latents/scale.json",
        grid="results/voxels/grid.json",
        intensity="results/voxels/intensity.json",
        model=f"{AUTOENCODER}/model.safetensors",
        config=f"{AUTOENCODER}/config.json",
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
            "evaluate_memorisation", "evaluation.pooled", "evaluation.confidence"
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
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        science=science(
            "summarise",
            "data",
            "autoencoder",
            "prior",
            "sampling",
            "evaluation",
            "seed",
        ),
    script:
        "../scripts/summarise.py"


rule check_verdict:
    """End the run with an error where the evaluation failed; asked for by evaluation.stop_on_fail."""
    input:
        summary="results/evaluation/summary.json",
        report="results/report.html",
    output:
        "results/evaluation/verdict.txt",
    log:
        "results/logs/check_verdict.log",
    benchmark:
        "results/benchmarks/check_verdict.tsv"
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        science=science("check_verdict"),
    script:
        "../scripts/check_verdict.py"
