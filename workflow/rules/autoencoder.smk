# Volumes to latents.
# Reads: results/voxels/. Writes: results/autoencoder/, results/latents/ (shards and scale).


rule train_autoencoder:
    """Train the autoencoder; run again after a kill, it goes on where it was."""
    input:
        train=TRAIN,
        val=VAL,
        grid="results/voxels/grid.json",
        intensity="results/voxels/intensity.json",
        perceptual=PERCEPTUAL,
    output:
        model="results/autoencoder/model.safetensors",
        config="results/autoencoder/config.json",
        history="results/autoencoder/history.csv",
    log:
        "results/logs/train_autoencoder.log",
    benchmark:
        "results/benchmarks/train_autoencoder.tsv"
    retries: MACHINE.retries
    threads: MACHINE.threads
    resources:
        **training_place(),
        mem_mb=MACHINE.memory_mb,
        runtime=MACHINE.runtime_minutes,
        attempt=attempt_number,
    params:
        science=science(
            "train_autoencoder",
            "data.flips",
            "data.rotations",
            "seed",
            settings="autoencoder",
        ),
    script:
        "../scripts/train_autoencoder.py"


rule encode_latents:
    """Encode a split once, in every view that the training of the prior may draw."""
    input:
        source=["results/voxels/{split}.csv", "results/voxels/{split}"],
        grid="results/voxels/grid.json",
        intensity="results/voxels/intensity.json",
        autoencoder=AUTOENCODER,
    output:
        folder=directory("results/latents/{split}"),
        index="results/latents/{split}/index.csv",
        config="results/latents/{split}/config.json",
    log:
        "results/logs/encode_latents/{split}.log",
    benchmark:
        "results/benchmarks/encode_latents/{split}.tsv"
    threads: MACHINE.threads
    resources:
        mem_mb=MACHINE.memory_mb,
        runtime=MACHINE.runtime_minutes,
        gpu=GPUS,
    params:
        science=science("encode_latents", "data.flips", "data.rotations"),
    script:
        "../scripts/encode_latents.py"


rule scale_factor:
    """Measure mean and standard deviation of each channel of the train latents, or take a trained prior's."""
    input:
        latents=TRAIN_LATENTS,
        prior=[] if "prior" in TRAININGS else PRIOR,
    output:
        "results/latents/scale.json",
    log:
        "results/logs/scale_factor.log",
    benchmark:
        "results/benchmarks/scale_factor.tsv"
    params:
        science=science("scale_factor", "prior.posterior"),
    script:
        "../scripts/scale_factor.py"


rule measure_loader:
    """Measure how fast volumes are read, and how long the training waits for them."""
    input:
        train=TRAIN,
        grid="results/voxels/grid.json",
        intensity="results/voxels/intensity.json",
    output:
        table="results/benchmarks/loader.csv",
        figure="results/benchmarks/loader.png",
    log:
        "results/logs/measure_loader.log",
    benchmark:
        "results/benchmarks/measure_loader.tsv"
    threads: MACHINE.threads
    resources:
        mem_mb=MACHINE.memory_mb,
        runtime=MACHINE.runtime_minutes,
        gpu=GPUS,
    params:
        science=science(
            "measure_loader",
            "data.flips",
            "data.rotations",
            "seed",
            settings="autoencoder",
        ),
    script:
        "../scripts/measure_loader.py"
