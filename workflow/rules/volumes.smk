# Image volumes to the grid.
# Reads: the NIfTI files of data.files, a decathlon task, or results/raw/ (tables of spheres, downloads).
# Writes: results/voxels/shards/.


rule simulate_spheres:
    """Draw the spheres that a table's volumes show."""
    output:
        "results/raw/{name}.csv",
    log:
        "results/logs/simulate_spheres/{name}.log",
    benchmark:
        "results/benchmarks/simulate_spheres/{name}.tsv"
    params:
        science=science(
            "simulate_spheres", "data.grid.shape", "seed", settings="data.spheres"
        ),
    script:
        "../scripts/simulate_spheres.py"


rule download:
    """Fetch and unpack a task of the Medical Segmentation Decathlon."""
    output:
        folder=directory("results/raw/{name}"),
        contents="results/raw/{name}/dataset.json",
    log:
        "results/logs/download/{name}.log",
    benchmark:
        "results/benchmarks/download/{name}.tsv"
    params:
        science=science("download"),
    script:
        "../scripts/download.py"


rule prepare_volumes:
    """Bring one shard of a raw source's volumes onto the grid."""
    input:
        image_input,
        raw=shard_input,
        listing=listing_input,
        grid="results/voxels/shards/grid.json",
    output:
        folder=directory("results/voxels/shards/{name}-{shard}"),
        manifest="results/voxels/shards/{name}-{shard}/manifest.csv",
        index="results/voxels/shards/{name}-{shard}/index.csv",
    log:
        "results/logs/prepare_volumes/{name}-{shard}.log",
    benchmark:
        "results/benchmarks/prepare_volumes/{name}-{shard}.tsv"
    params:
        science=science(
            "prepare_volumes",
            "data.source",
            "data.scans",
            "data.label",
            "data.intensity.quantile",
            "seed",
        ),
    script:
        "../scripts/prepare_volumes.py"
