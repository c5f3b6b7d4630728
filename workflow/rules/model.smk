# A model to take along.
# Reads: both trained models, results/samples/config.json, the grid, the splits, the verdicts.
# Writes: results/model/.


rule pack_model:
    """Put all that samples need into one folder that can be copied, with a card that says what it is."""
    input:
        autoencoder=AUTOENCODER,
        prior=PRIOR,
        samples="results/samples/config.json",
        grid="results/voxels/grid.json",
        splits=expand("results/voxels/{split}.csv", split=SPLITS),
        summary="results/evaluation/summary.json",
    output:
        folder=directory("results/model"),
        card="results/model/README.md",
    log:
        "results/logs/pack_model.log",
    benchmark:
        "results/benchmarks/pack_model.tsv"
    params:
        science=science("pack_model", settings="data"),
    script:
        "../scripts/pack_model.py"
