"""Writes the golden CSV files beside it. Libraries: jplephem 2.24 with de421 2008.1, pyerfa 2.0.1.5, sgp4 2.27.

UT1 = UTC and no polar motion everywhere, as the product assumes. Run in this folder.
"""
import de421, erfa, numpy as np, math
from jplephem import Ephemeris
from sgp4.api import Satrec

eph = Ephemeris(de421)
k = 1 / (1 + eph.EMRAT)
def bary(name, jd):
    if name == "sun": return eph.position("sun", jd).ravel() * 1e3
    if name == "mars": return eph.position("mars", jd).ravel() * 1e3
    emb, moon = eph.position("earthmoon", jd).ravel(), eph.position("moon", jd).ravel()
    return (emb - k * moon if name == "earth" else emb + (1 - k) * moon) * 1e3

with open("de421_positions.csv", "w") as f:
    f.write("# DE421 (jplephem 2.24, PyPI de421 2008.1): barycentric ICRF positions, metres; days of TDB since J2000.0\n")
    f.write("tdb_days,body,x_m,y_m,z_m\n")
    for i in range(200):
        d = 9497.0 + i * 20.09375          # 2026-01-01 to 2036-12
        for b in ("sun", "earth", "moon", "mars"):
            x, y, z = bary(b, 2451545.0 + d)
            f.write(f"{d!r},{b},{x:.1f},{y:.1f},{z:.1f}\n")

with open("earth_rotation.csv", "w") as f:
    f.write("# pyerfa 2.0.1.5: ITRS to GCRS (IAU 2006/2000A, UT1 = UTC, no polar motion) row by row; then TEME to GCRS = that * Rz(GMST82)\n")
    f.write("utc," + ",".join(f"c{i}{j}" for i in range(3) for j in range(3)) + "," + ",".join(f"t{i}{j}" for i in range(3) for j in range(3)) + "\n")
    for i in range(40):
        y, m, dd, hh = 2024 + i % 13, 1 + (5 * i) % 12, 1 + (7 * i) % 28, (11 * i) % 24
        u1, u2 = erfa.dtf2d("UTC", y, m, dd, hh, 17, 3.0)
        t1, t2 = erfa.taitt(*erfa.utctai(u1, u2))
        c = erfa.c2t06a(t1, t2, u1, u2, 0.0, 0.0).T
        g = erfa.gmst82(u1, u2)
        # PEF = Rz(GMST82) TEME as a frame rotation.
        t = c @ erfa.rz(g, np.eye(3))
        f.write(f"{y}-{m:02}-{dd:02}T{hh:02}:17:03Z," + ",".join(f"{v:.15g}" for v in c.ravel()) + "," + ",".join(f"{v:.15g}" for v in t.ravel()) + "\n")

def R3(a): return erfa.rz(a, np.eye(3))
def R1(a): return erfa.rx(a, np.eye(3))
def R2(a): return erfa.ry(a, np.eye(3))
with open("moon_orientation.csv", "w") as f:
    f.write("# DE421 librations (jplephem 2.24), principal axes turned to the mean Earth frame by 0.30, 78.56, 67.92 arcsec (IOM 335-JW,DB,WF-20080314-001): fixed to ICRF, row by row\n")
    f.write("tdb_days," + ",".join(f"m{i}{j}" for i in range(3) for j in range(3)) + "\n")
    s = math.pi / 648000
    for i in range(40):
        d = 9497.0 + i * 91.3125
        phi, th, psi = eph.position("librations", 2451545.0 + d).ravel()
        pa = R3(psi) @ R1(th) @ R3(phi)
        me = R1(-0.30 * s) @ R2(-78.56 * s) @ R3(-67.92 * s) @ pa
        f.write(f"{d!r}," + ",".join(f"{v:.12g}" for v in me.T.ravel()) + "\n")

with open("sgp4_states.csv", "w") as f:
    f.write("# sgp4 2.27 (Vallado's code, wgs72, AFSPC mode): TEME km and km/s at minutes after the elements' epoch\n")
    f.write("line1,line2,minutes,x,y,z,vx,vy,vz\n")
    import csv
    for row in csv.DictReader(open("tles.csv")):
        s = Satrec.twoline2rv(row["line1"], row["line2"]); s2 = Satrec()
        from sgp4.api import WGS72
        s = Satrec.twoline2rv(row["line1"], row["line2"], WGS72)
        s.operationmode
        for m in (0.0, 97.5, 720.0, 1440.0, 2880.0, -300.0):
            e, r, v = s.sgp4_tsince(m)
            if e == 0:
                f.write(f'{row["line1"]},{row["line2"]},{m},' + ",".join(f"{x:.9f}" for x in (*r, *v)) + "\n")
