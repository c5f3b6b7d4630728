"""How the threads of OpenMP wait: to be said before torch is imported, and with it OpenMP."""

import os

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")  # OpenMP's own, GNU's, Intel's
SPINS = "1000"  # of GNU's OpenMP: how often a thread looks for work before it sleeps


def spin_briefly() -> None:
    """Let threads that wait soon sleep, in this process and those that it starts, unless the user chose.

    By default they look for work without a pause: beside another busy process they then take the CPU from
    the very thread that they wait for. To sleep at once (OMP_WAIT_POLICY=PASSIVE) takes 1.6 to 2 times
    as long where nothing else runs (benchmarks/results/contention.md).
    """
    if not any(name in os.environ for name in WAITING):
        os.environ["GOMP_SPINCOUNT"] = SPINS
