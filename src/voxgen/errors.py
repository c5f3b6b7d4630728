"""The errors that a user can mend: one clear message, no traceback."""


class InputError(ValueError):
    """Data, settings or artefacts that voxgen refuses.

    The message says where (file, key, row), what was found, what was expected, and the remedy.
    """


class StoppedError(InputError):
    """A training that was asked to stop and saved its state: the same command goes on."""
