"""Writes leo_windows.csv: windows of three Earth satellites over three stations, from an oracle outside the product.

    pip install skyfield==1.55 sgp4 numpy && python leo_windows.py > leo_windows.csv

Passes are found by skyfield's find_events. Their edges are refined by bisection to 10 µs on the elevation along the light path:
the satellite by python-sgp4 in TEME, turned to skyfield's GCRS and back into the Earth-fixed frame (ITRS with UT1 as skyfield's
built-in table has it, no polar motion), the sender at t, the receiver at t + light time, no refraction. Times are seconds
from the window start in UTC, of the transmitter. Windows cut by an end of the span keep that end.
"""
import csv, math, sys
from skyfield.api import EarthSatellite, load, wgs84
from skyfield.constants import AU_KM

C_KM_S = 299792.458
ts = load.timescale(builtin=True)
tles = list(csv.DictReader(open("tles.csv")))
stations = list(csv.DictReader(open("stations.csv")))


def elevation(sat, site, start, t, sending):
    """Elevation (degrees) at the station for a transmission at t; sending: the station sends."""
    def sat_at(s):
        return sat.at(ts.tt_jd(start.whole, start.tt_fraction + s / 86400.0)).position.km
    def site_at(s):
        return site.at(ts.tt_jd(start.whole, start.tt_fraction + s / 86400.0)).position.km
    tau = 0.0
    for _ in range(4):
        place, craft = (site_at(t), sat_at(t + tau)) if sending else (site_at(t + tau), sat_at(t))
        sight = craft - place
        tau = math.sqrt((sight * sight).sum()) / C_KM_S
    moment = t if sending else t + tau
    rotation = site._altaz_rotation(ts.tt_jd(start.whole, start.tt_fraction + moment / 86400.0)) \
        if hasattr(site, "_altaz_rotation") else site.rotation_at(ts.tt_jd(start.whole, start.tt_fraction + moment / 86400.0))
    x, y, z = rotation.dot(sight)
    return math.degrees(math.atan2(z, math.hypot(x, y)))


def edge(f, low, high):
    below = f(low) < 0
    while high - low > 1e-5:
        mid = 0.5 * (low + high)
        if (f(mid) < 0) == below:
            low = mid
        else:
            high = mid
    return 0.5 * (low + high)


out = csv.writer(sys.stdout, lineterminator="\n")
out.writerow(["sat", "station", "direction", "start_s", "end_s", "max_elevation_deg"])
for tle in tles:
    sat = EarthSatellite(tle["line1"], tle["line2"], tle["sat"], ts)
    start = ts.from_datetime(__import__("datetime").datetime.fromisoformat(tle["window_start_utc"].replace("Z", "+00:00")))
    span, mask = float(tle["hours"]) * 3600.0, float(tle["mask_deg"])
    stop = ts.tt_jd(start.whole, start.tt_fraction + span / 86400.0)
    for row in stations:
        site = wgs84.latlon(float(row["lat_deg_geodetic_wgs84"]), float(row["lon_deg_east"]), float(row["height_m"]))
        times, events = sat.find_events(site, start, stop, altitude_degrees=mask)
        for direction in ("down", "up"):
            f = lambda t: elevation(sat, site, start, t, direction == "up") - mask
            rise, best, left = (0.0 if f(0.0) >= 0 else None), None, []
            for time, event in zip(times, events):
                t = (time.whole - start.whole + time.tt_fraction - start.tt_fraction) * 86400.0
                if event == 0:
                    rise = edge(f, t - 30.0, t + 30.0)
                elif event == 1:
                    best = max(f(t + d) for d in (-0.2, -0.1, 0.0, 0.1, 0.2)) + mask
                else:
                    left.append((rise, edge(f, t - 30.0, t + 30.0), best))
                    rise = None
            if rise is not None:
                left.append((rise, span, best))
            for a, b, top in left:
                out.writerow([tle["sat"], row["station"], direction, f"{a:.6f}", f"{b:.6f}", f"{top:.5f}"])
