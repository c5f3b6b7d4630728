# Shards to splits, of clouds and volumes alike.
# Reads: results/clouds/index/ or the shards' index, results/voxels/shards/.
# Writes: results/clouds/ (splits), results/voxels/ (grid, manifests, volumes, intensity, preview).

VOXEL_SHARDS = expand("results/voxels/shards/{name}-{shard}", name=FILES, shard=SHARDS)
INDEX = (
    expand("results/clouds/index/{name}.csv", name=FILES)
    if MAKES_CLOUDS
    else expand("{shard}/index.csv", shard=VOXEL_SHARDS)
)


rule split_clouds:
    """Assign every good cloud or volume to a split; it goes first, since it refuses bad data."""
    input:
        parts=INDEX,
    output:
        split="results/clouds/split.csv",
        dropped="results/clouds/dropped.csv",
    log:
        "results/logs/split_clouds.log",
    benchmark:
        "results/benchmarks/split_clouds.tsv"
    priority: 1
    params:
        science=science(
            "split_clouds",
            "data.grid.bounds",
            "data.unit",
            "data.on_bad_cloud",
            "data.max_dropped",
            "seed",
            settings="data.split",
        ),
    script:
        "../scripts/split_clouds.py"


rule fix_grid:
    """Fix the grid; of the clouds it needs something only where the train split gives the bounds."""
    input:
        parts=INDEX if TRAIN_BOUNDS else [],
        split="results/clouds/split.csv" if TRAIN_BOUNDS else [],
    output:
        "results/voxels/shards/grid.json",
    log:
        "results/logs/fix_grid.log",
    benchmark:
        "results/benchmarks/fix_grid.tsv"
    params:
        science=science(
            "fix_grid",
            "data.unit",
            "data.source",
            "data.scans.spacing",
            settings="data.grid",
            turns="data.turns_to_judge",
        ),
    script:
        "../scripts/fix_grid.py"


rule collect_voxels:
    """Gather the shards by split and take the intensity law's constants from the train split."""
    input:
        expand("{shard}/manifest.csv", shard=VOXEL_SHARDS),
        shards=VOXEL_SHARDS,
        outside=(
            expand("{shard}/dropped.csv", shard=VOXEL_SHARDS) if MAKES_CLOUDS else []
        ),
        split="results/clouds/split.csv",
        stored="results/voxels/shards/grid.json",
    output:
        train=["results/voxels/train.csv", directory("results/voxels/train")],
        val=["results/voxels/val.csv", directory("results/voxels/val")],
        test=["results/voxels/test.csv", directory("results/voxels/test")],
        grid="results/voxels/grid.json",
        intensity="results/voxels/intensity.json",
        dropped="results/voxels/dropped.csv",
    log:
        "results/logs/collect_voxels.log",
    benchmark:
        "results/benchmarks/collect_voxels.tsv"
    params:
        science=science(
            "collect_voxels",
            "data.train_shape",
            "data.on_bad_cloud",
            "data.max_dropped",
            settings="data.intensity",
        ),
    script:
        "../scripts/collect_voxels.py"


rule plot_voxels:
    """Show each split: slices, projections and statistics of its volumes."""
    input:
        train=TRAIN,
        val=VAL,
        test=TEST,
    output:
        preview=report(
            "results/voxels/preview.png",
            caption="../report/data.rst",
            category="Data",
        ),
        statistics="results/voxels/statistics.json",
        figure="results/voxels/statistics.png",
    log:
        "results/logs/plot_voxels.log",
    benchmark:
        "results/benchmarks/plot_voxels.tsv"
    params:
        science=science("plot_voxels"),
    script:
        "../scripts/plot_voxels.py"
