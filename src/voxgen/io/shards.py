"""A shard: one of the parts that a job of many items is cut into."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Shard:
    """Part `number`, from 0, of `of`. Its name says both, so that another number of parts makes all anew."""

    number: int
    of: int

    @classmethod
    def named(cls, name: str) -> Self:
        """The shard of a name such as `0of2`."""
        return cls(*map(int, name.split("of")))

    def __str__(self) -> str:
        """The name."""
        return f"{self.number}of{self.of}"

    def part(self, n: int) -> slice:
        """Its part of n items: contiguous, and as long as the others but for one item."""
        return slice(n * self.number // self.of, n * (self.number + 1) // self.of)


def shards(of: int) -> list[Shard]:
    """All shards of a job that is cut into so many."""
    return [Shard(number, of) for number in range(of)]
