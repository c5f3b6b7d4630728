# Latents to new volumes.
# Reads: results/latents/, the autoencoder. Writes: results/prior/, results/sample_shards/, results/samples/.


rule train_diffusion:
    """Train the prior on cached latents; run again after a kill, it goes on where it was."""
    input:
        train=TRAIN_LATENTS,
        val=VAL_LATENTS,
        scale="results/latents/scale.json",
        autoencoder=AUTOENCODER,
    output:
        model="results/prior/model.safetensors",
        config="results/prior/config.json",
        history="results/prior/history.csv",
    log:
        "results/logs/train_diffusion.log",
    benchmark:
        "results/benchmarks/train_diffusion.tsv"
    retries: MACHINE.retries
    threads: MACHINE.threads
    resources:
        **training_place(),
        mem_mb=MACHINE.memory_mb,
        runtime=MACHINE.runtime_minutes,
        attempt=attempt_number,
    params:
        science=science("train_diffusion", "seed", settings="prior"),
    script:
        "../scripts/train_diffusion.py"


rule draw_samples:
    """Draw one shard of new volumes."""
    input:
        autoencoder=AUTOENCODER,
        prior=PRIOR,
        scale="results/latents/scale.json",
        grid="results/voxels/grid.json",
        asked=ASKED,
    output:
        folder=directory("results/sample_shards/{shard}"),
        manifest="results/sample_shards/{shard}/manifest.csv",
        config="results/sample_shards/{shard}/config.json",
    log:
        "results/logs/draw_samples/{shard}.log",
    benchmark:
        "results/benchmarks/draw_samples/{shard}.tsv"
    threads: MACHINE.threads
    resources:
        mem_mb=MACHINE.memory_mb,
        runtime=MACHINE.runtime_minutes,
        gpu=GPUS,
    params:
        science=science("draw_samples", "seed", settings="sampling"),
    script:
        "../scripts/draw_samples.py"


rule sample:
    """Gather the new volumes, draw clouds from them and set them beside real ones."""
    input:
        expand("results/sample_shards/{shard}/manifest.csv", shard=SAMPLE_SHARDS),
        expand("results/sample_shards/{shard}/config.json", shard=SAMPLE_SHARDS),
        shards=expand("results/sample_shards/{shard}", shard=SAMPLE_SHARDS),
        grid="results/voxels/grid.json",
        raw=next(iter(FILES.values())) if MAKES_CLOUDS else [],
        train=TRAIN,
    output:
        **({"clouds": "results/samples/samples.h5"} if MAKES_CLOUDS else {}),
        folder=directory("results/samples"),
        table="results/samples/samples.csv",
        config="results/samples/config.json",
        preview=report(
            "results/samples/preview.png",
            caption="../report/preview.rst",
            category="Samples",
        ),
    log:
        "results/logs/sample.log",
    benchmark:
        "results/benchmarks/sample.tsv"
    params:
        science=science("sample", "data.label", settings="data.clouds"),
    script:
        "../scripts/sample.py"
