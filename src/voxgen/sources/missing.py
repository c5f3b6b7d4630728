"""Numbers that stand for missing ones."""

import math

# 99, 999, ..., the ends of types, netCDF's fill, powers of ten.
WHOLE = {10.0**power - 1 for power in range(2, 8)} | {32767.0, 32768.0, 65535.0}
HUGE = {2147483647.0, 2147483648.0, 4294967295.0, 9.969209968386869e36, 3.4028234663852886e38}
HUGE |= {1.7976931348623157e308, *(10.0**power for power in range(10, 38))}


def is_sentinel(number: float) -> bool:
    """Whether programs write this number, or its negative, where they have none; huge ones may be float32."""
    size = abs(number)
    if not math.isfinite(size):
        return False
    whole = round(size) in WHOLE and math.isclose(size, round(size), rel_tol=1e-12)
    return whole or (size > 1e9 and any(math.isclose(size, one, rel_tol=1e-6) for one in HUGE))
