"""Print what voxgen makes of the files of shared/.

python tests/files/verdicts.py [ROOT of another checkout]
"""

import sys
import warnings
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]).resolve()
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "workflow/scripts"), str(Path(__file__).parents[1] / "support")]

from file_cases import shared_cases  # noqa: E402
from real_files import real_files  # noqa: E402

if __name__ == "__main__":
    warnings.simplefilter("error")
    kinds = Counter[str]()
    print("| case | verdict |\n|---|---|")
    for case in (*shared_cases(), *real_files()):
        with TemporaryDirectory() as folder:
            verdict = case.verdict(Path(folder), ROOT)
        kinds[verdict.kind] += 1
        print(f"| {case.name} | {str(verdict).replace('|', chr(92) + '|')} |", flush=True)
    print("\n" + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
