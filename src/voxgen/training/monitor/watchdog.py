"""Steps whose loss or gradient is not finite: skipped, counted, and too many of them the end."""

import logging

from voxgen.errors import InputError
from voxgen.training.engine import Step

log = logging.getLogger(__name__)


class Watchdog:
    """Counts bad steps; `skipped` are those of this epoch, `in_row` the last ones without a good one."""

    def __init__(self, limit: int, mixed: bool) -> None:
        self._limit = limit
        self._remedy = "lower learning_rate or clip" + (", or set machine.precision: fp32" if mixed else "")
        self.skipped = 0
        self.in_row = 0

    def state_dict(self) -> dict[str, int]:
        """Both counts."""
        return {"skipped": self.skipped, "in_row": self.in_row}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Take up what `state_dict` gave."""
        self.skipped, self.in_row = state["skipped"], state["in_row"]

    def see(self, step: Step, epoch: int, position: int) -> bool:
        """Whether a step was good.

        Raises:
            InputError: more than `limit` in a row were not.
        """
        if step.bad is None:
            self.in_row = 0
            return True
        self.skipped += 1
        self.in_row += 1
        where = f"epoch {epoch}, step {position}"
        log.warning("%s is not finite in %s: skipped (%d in a row)", step.bad, where, self.in_row)
        if self.in_row > self._limit:
            raise InputError(
                f"training: {self.in_row} steps in a row were not finite, the last in {where} ({step.bad}); "
                f"{self._remedy}"
            )
        return False
