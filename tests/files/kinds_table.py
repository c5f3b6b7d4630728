"""The table of kinds: `PYTHONPATH=src:tests python -m files.kinds_table [WORD ...]`.

Words choose fields or names.
"""

import sys
from collections import Counter

from files import (  # noqa: F401
    kinds_learning,
    kinds_localisation,
    kinds_numbers,
    kinds_ragged,
    kinds_scans,
    kinds_simulation,
    kinds_tables,
    kinds_text,
)
from files.judging import WORST, judge_in_new_folder
from files.kinds import KINDS


def main(words: list[str]) -> None:
    """Print the verdict on each kind, and how many there are of each."""
    counted: Counter[str] = Counter()
    print("| field | kind | verdict | why |\n|---|---|---|---|")
    for kind in KINDS.values():
        if words and not any(word in f"{kind.field} {kind.name}" for word in words):
            continue
        verdict = judge_in_new_folder(kind)
        counted[verdict.word] += 1
        why = " ".join(verdict.why.replace("|", "/").split())
        print(f"| {kind.field} | {kind.name} | {verdict.word} | {why[:330]} |", flush=True)
    print("\n" + ", ".join(f"{counted[word]} {word}" for word in WORST))


if __name__ == "__main__":
    main(sys.argv[1:])
