# Latents to new volumes.
# Reads: results/latents/, the autoencoder. Writes: results/prior/, results/sample_shards/, results/samples/.


rule train_diffusion:
    """Train the denoiser on cached latents; run again after a kill, it goes on where it was."""
    input:
        train="results/latents/train",
        train_index="results/latents/train/index.csv",
        train_config="results/latents/train/config.json",
        val="results/latents/val",
        val_index="results/latents/val/index.csv",
        val_config="results/latents/val/config.json",
        scale="results/latents/scale.json",
        autoencoder=f"{AUTOENCODER}/model.safetensors",
        autoencoder_config=f"{AUTOENCODER}/config.json",
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
        science=science("train_diffusion", "prior", "seed"),
    script:
        "../scripts/train_diffusion.py"


rule draw_samples:
    """Draw one shard of new volumes."""
    input:
        autoencoder=f"{AUTOENCODER}/model.safetensors",
        autoencoder_config=f"{AUTOENCODER}/config.json",
        prior="results/prior/model.safetensors",
        prior_config="results/prior/config.json",
        scale="results/latents/scale.json",
        grid="results/voxels/grid.json",
    output:
        folder=directory("results/sample_shards/{k}"),
        manifest="results/sample_shards/{k}/manifest.csv",
        config="results/sample_shards/{k}/config.json",
    log:
        "results/logs/draw_samples/{k}.log",
    benchmark:
        "results/benchmarks/draw_samples/{k}.tsv"
    threads: MACHINE.threads
    resources:
        mem_mb=MACHINE.memory_mb,
        runtime=MACHINE.runtime_minutes,
        gpu=GPUS,
    params:
        science=science("draw_samples", "sampling", "seed"),
    script:
        "../scripts/draw_samples.py"


rule sample:
    """Gather the new volumes, draw clouds from them and set them beside real ones."""
    input:
        shards=expand("results/sample_shards/{k}", k=SAMPLE_SHARDS),
        manifests=expand("results/sample_shards/{k}/manifest.csv", k=SAMPLE_SHARDS),
        configs=expand("results/sample_shards/{k}/config.json", k=SAMPLE_SHARDS),
        grid="results/voxels/grid.json",
        raw=next(iter(FILES.values())) if MAKES_CLOUDS else [],
        train="results/voxels/train.csv",
        train_folder="results/voxels/train",
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
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        science=science("sample", *READING, "seed"),
    script:
        "../scripts/sample.py"
