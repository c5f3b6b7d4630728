# What a prior that is told of its items is asked for; included where prior.condition is set.
# Reads: results/clouds/split.csv, a table. Writes: results/conditions/.


rule ask_conditions:
    """Fix what each sample is asked to be; it goes early, since it refuses unknown classes and columns."""
    input:
        split="results/clouds/split.csv",
        table=CONDITION_TABLE,
    output:
        asked=ASKED,
    log:
        "results/logs/ask_conditions.log",
    benchmark:
        "results/benchmarks/ask_conditions.tsv"
    priority: 1
    params:
        science=science(
            "ask_conditions",
            "sampling.samples",
            "seed",
            settings="sampling.condition",
            condition="prior.condition",
        ),
    script:
        "../scripts/ask_conditions.py"


rule evaluate_conditions:
    """Score whether samples are what they were asked to be, and each class alone."""
    input:
        samples=["results/samples/samples.csv", "results/samples"],
        train=TRAIN,
        test=TEST,
        grid="results/voxels/grid.json",
        intensity="results/voxels/intensity.json",
        autoencoder=AUTOENCODER,
    output:
        scores=CONDITIONS,
    log:
        "results/logs/evaluate_conditions.log",
    benchmark:
        "results/benchmarks/evaluate_conditions.tsv"
    threads: MACHINE.threads
    resources:
        mem_mb=MACHINE.memory_mb,
        runtime=MACHINE.runtime_minutes,
        gpu=GPUS,
    params:
        science=science(
            "evaluate_conditions",
            "evaluation",
            "seed",
            condition="prior.condition",
        ),
    script:
        "../scripts/evaluate_conditions.py"
