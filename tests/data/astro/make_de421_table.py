"""Writes src/astro/data/de421.bin: Chebyshev coefficients of DE421 (JPL, public domain) for 2000 to 2050.

Source: PyPI `de421` 2008.1 read by `jplephem` 2.24. Run from the repository's root.
Layout: for every table below, in order, for every segment, for x, y, z: n little-endian i32 coefficients in quanta.
"""
import de421
import numpy as np
from jplephem import Ephemeris

FIRST_JD = 2451536.5  # 1999-12-24 TDB
DAYS = 18304  # to 2050-02-03
# name, segment days, coefficients, quantum in metres
TABLES = [("sun", 32, 8, 1.0), ("earthmoon", 32, 13, 128.0), ("mars", 32, 11, 128.0), ("moon", 8, 15, 0.25)]

ephemeris = Ephemeris(de421)
out = bytearray()
for name, days, n, quantum in TABLES:
    worst = 0.0
    nodes = np.cos(np.pi * (np.arange(4 * n) + 0.5) / (4 * n))
    check = np.linspace(-1, 1, 41)
    for k in range(DAYS // days):
        mid, half = FIRST_JD + (k + 0.5) * days, days / 2
        at = lambda x: ephemeris.position(name, mid, half * x) * 1e3
        fitted = np.polynomial.chebyshev.chebfit(nodes, at(nodes).T, n - 1).T
        steps = np.rint(fitted / quantum)
        assert abs(steps).max() < 2**31
        out += steps.astype("<i4").tobytes()
        if k % 7 == 0:
            value = np.polynomial.chebyshev.chebval(check, (steps * quantum).T)
            worst = max(worst, np.linalg.norm(value - at(check), axis=0).max())
    print(f"{name}: worst position error {worst:.2f} m")
print("EMRAT", ephemeris.EMRAT, "bytes", len(out))
open("src/astro/data/de421.bin", "wb").write(out)
