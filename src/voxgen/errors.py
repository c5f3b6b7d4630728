"""The errors that a user can mend: one clear message, no traceback."""


class InputError(ValueError):
    """Data, settings or artefacts that voxgen refuses.

    The message says where (file, key, row), what was found, what was expected, and the remedy.
    """
