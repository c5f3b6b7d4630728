# Image volumes to the grid.
# Reads: the NIfTI files of data.files, a decathlon task, or results/raw/ (tables of spheres, downloads).
# Writes: results/voxels/shards/.


rule simulate_spheres:
    """Draw the spheres that a table's volumes show."""
    output:
        "results/raw/{f}.csv",
    log:
        "results/logs/simulate_spheres/{f}.log",
    benchmark:
        "results/benchmarks/simulate_spheres/{f}.tsv"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        science=science("simulate_spheres", "data.spheres", "data.grid.shape", "seed"),
    script:
        "../scripts/simulate_spheres.py"


rule download:
    """Fetch and unpack a task of the Medical Segmentation Decathlon."""
    output:
        folder=directory("results/raw/{f}"),
        contents="results/raw/{f}/dataset.json",
    log:
        "results/logs/download/{f}.log",
    benchmark:
        "results/benchmarks/download/{f}.tsv"
    resources:
        mem_mb=4000,
        runtime=600,
    params:
        science=science("download"),
    script:
        "../scripts/download.py"


rule prepare_volumes:
    """Bring one chunk of a raw source's volumes onto the grid."""
    input:
        raw=chunk_input,
        listing=listing_input,
        grid="results/voxels/shards/grid.json",
    output:
        folder=directory("results/voxels/shards/{f}-{k}"),
        manifest="results/voxels/shards/{f}-{k}/manifest.csv",
        index="results/voxels/shards/{f}-{k}/index.csv",
    log:
        "results/logs/prepare_volumes/{f}-{k}.log",
    benchmark:
        "results/benchmarks/prepare_volumes/{f}-{k}.tsv"
    resources:
        mem_mb=4000,
        runtime=120,
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
