# voxgen: point clouds to voxels, latents, a diffusion model, new volumes and their evaluation.
#
#     snakemake --cores 8 results/samples     new volumes
#     snakemake --cores 8                     and their evaluation, figures and report

from snakemake.utils import min_version

min_version("9.20")


configfile: "config/config.yaml"


container: "docker-daemon://voxgen"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: f"workflow/rules/{KIND}.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/autoencoder.smk"


if ASKED:

    include: "workflow/rules/conditions.smk"


include: "workflow/rules/diffusion.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/model.smk"


rule all:
    default_target: True
    input:
        "results/samples",
        "results/voxels/preview.png",
        "results/report.html",
        VERDICT,
