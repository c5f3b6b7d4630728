"""What weights cannot tell and is asked for by name: all that is missing or wrong comes in one message."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from voxgen.errors import InputError

ASKS = "the weights do not tell the following; give each as KEY=VALUE:"


class Answers:
    """KEY=VALUE of a command: `take` them one by one, then `settle`."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self._given = given
        self._asked: list[str] = []
        self._missing: list[str] = []
        self._wrong: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self._given

    def take(self, key: str, kind: Any, asks: str, legal: Sequence[Any] = ()) -> Any:
        """The answer to a question, of type `kind`; where one answer alone is legal, that one.

        None stands for an answer that is missing or wrong, until `settle` says so.
        """
        self._asked.append(key)
        if key not in self._given and len(legal) == 1:
            return legal[0]
        expected = f"{asks}{f': one of {_listed(legal)}' if legal else ''}"
        if key not in self._given:
            self._missing.append(f"{key}=  {expected}")
            return None
        try:
            value = TypeAdapter(kind).validate_python(self._given[key])
        except ValidationError as error:
            return self.refuse(key, f"{error.errors()[0]['msg']}; expected {expected}")
        if legal and value not in legal:
            return self.refuse(key, f"expected {expected}")
        return value

    def refuse(self, key: str, why: str) -> None:
        """Note that an answer cannot be used."""
        self._wrong.append(f"{key}={self._given.get(key)}: {why}")

    def settle(self, hint: str = "") -> None:
        """Let nothing pass that is missing, wrong or not asked for; `hint` follows what is missing.

        Raises:
            InputError: names all of it.
        """
        known = ", ".join(self._asked)
        unknown = [f"{key}: not asked for; asked for are {known}" for key in self._given.keys() - self._asked]
        missing = [ASKS, *(f"  {line}" for line in self._missing), *([hint] if hint else [])]
        if lines := [*self._wrong, *sorted(unknown), *(missing if self._missing else [])]:
            raise InputError("\n".join(lines))


def _listed(legal: Sequence[Any]) -> str:
    return ", ".join(map(str, legal))
