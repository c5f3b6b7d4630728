"""`voxgen import-checkpoint`: weights of MONAI or of monai-generative as a model folder."""

from collections.abc import Iterator, Sequence

from voxgen.cli.cloud_files import told_apart
from voxgen.errors import InputError
from voxgen.io.files import digest, write_json
from voxgen.models.folder import CONFIG, WEIGHTS
from voxgen.models.foreign.answers import Answers
from voxgen.models.foreign.checkpoint_file import read_checkpoint
from voxgen.models.foreign.known_networks import choose_part, import_network
from voxgen.models.foreign.parameter_names import in_our_names
from voxgen.training.checkpoints import write_weights


def import_checkpoint(arguments: Sequence[str]) -> Iterator[str]:
    """Write the network in FILE to the folder OUT; the lines to print say what was found and taken as given.

    Raises:
        InputError: the file cannot be read, holds no network that voxgen has, or does not tell enough of it.
    """
    paths, given = told_apart(arguments)
    if len(paths) != 2:
        raise InputError(f"{len(paths)} paths, expected two: voxgen import-checkpoint FILE OUT KEY=VALUE ...")
    path, out = paths
    if taken := [name for name in (CONFIG, WEIGHTS) if (out / name).exists()]:
        raise InputError(f"{out}: holds {taken[0]} already; name another folder")
    file = read_checkpoint(path)
    wanted = given.pop("part", None)
    try:
        part, name = choose_part(file.parts, None if wanted is None else str(wanted))
        weights, unused = in_our_names(file.parts[part])
        model = import_network(name, weights, Answers(given))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    made_from = {**model.config.get("made_from", {}), "checkpoint": digest(path)}
    told = {"seed": None, "epoch": file.epoch, "made_from": made_from}
    write_json(out / CONFIG, {**model.config, **told})
    write_weights(out / WEIGHTS, model.weights, file.epoch)
    numbers = sum(tensor.numel() for tensor in model.weights.values())
    yield f"{path}{f', {part}' if part else ''}: {name}, {len(model.weights)} tensors, {numbers:,} numbers"
    yield from (f"  {key}: {value}" for key, value in model.network.items())
    if unused:
        yield f"left out: {unused} tensors proj_attn, which monai-generative never applies"
    yield f"taken for granted, since no weights tell: {model.assumed}"
    yield f"written: {out}; settings that use it:\n{model.config['kind']}:\n  source: {out}"
