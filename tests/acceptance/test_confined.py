"""What a project may read, what it shows of secrets, and whose its files are."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

import qanat
from qanat.cli.failure import describe
from qanat.errors import (
    NotAllowedError,
    ProblemsError,
    QanatError,
    SpecError,
    TypeNameError,
    UnsupportedError,
)
from tests.acceptance.projects import Shop

ORDERS = (
    "CREATE STREAMING TABLE orders AS SELECT * FROM STREAM read_files('data/*.csv',"
    " schema => 'id BIGINT, amount BIGINT');\n"
)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "shop")
    shop.file("data/january.csv", "id,amount\n1,10\n2,20\n")
    shop.sql(ORDERS)
    return shop


# -- folders -----------------------------------------------------------------------------------

OUTSIDE = {
    "a file": "SELECT * FROM read_files('../other/secret.csv')",
    "a pattern": "SELECT * FROM read_files('../other/*.csv')",
    "a link": "SELECT * FROM read_files('data/link/secret.csv')",
    "the engine's function": "SELECT * FROM read_csv('{other}/secret.csv')",
    "text": "SELECT content FROM read_text('{other}/secret.csv')",
    "names": "SELECT file FROM glob('{other}/*')",
    "a name": "SELECT * FROM '{other}/secret.csv'",
}


@pytest.mark.parametrize("kind", OUTSIDE)
def test_files_outside_of_the_allowed_folders(shop: Shop, tmp_path: Path, kind: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "secret.csv").write_text("pin\n1234\n")
    (shop.folder / "data" / "link").symlink_to(other)
    shop.file("qanat.yml", "name: shop\nallowed_folders: [data]\n")
    query = OUTSIDE[kind].format(other=other)
    shop.sql(f"{ORDERS}CREATE MATERIALIZED VIEW leak AS {query};\n")
    problems = shop.validation().problems
    failures = list(shop.failures().values()) if not problems else list(problems)
    assert failures
    assert "1234" not in str(failures)
    # Functions that are no source are refused wherever the file is.
    assert all(isinstance(f, NotAllowedError | UnsupportedError) for f in failures)


def test_a_link_that_leads_out_is_named(shop: Shop, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "secret.csv").write_text("pin\n1234\n")
    link = shop.folder / "data" / "link"
    link.symlink_to(other)
    shop.file("qanat.yml", "name: shop\nallowed_folders: [data]\n")
    shop.sql(f"{ORDERS}CREATE MATERIALIZED VIEW leak AS {OUTSIDE['a link']};\n")
    (problem,) = shop.validation().problems
    assert problem.got == f"the link {link} leads to {other}"
    assert problem.hint == f"add {other} to `allowed_folders` in the spec"
    shop.file("qanat.yml", f"name: shop\nallowed_folders: [data, {other}]\n")
    assert shop.validation().problems == ()


def test_allowed_folders_do_not_stand_in_the_way(shop: Shop, tmp_path: Path) -> None:
    shop.file("qanat.yml", "name: shop\nallowed_folders: [data, out]\n")
    shop.file("more.csv.gz", "")
    shop.sql(
        f"{ORDERS}CREATE STREAMING TABLE good (CONSTRAINT a EXPECT (id > 1) ON VIOLATION"
        " QUARANTINE ROW) AS SELECT * FROM STREAM orders;\n"
        "CREATE MATERIALIZED VIEW direct AS SELECT * FROM read_csv('data/january.csv');\n"
    )
    shop.python(
        "dp.create_sink('out', 'csv', {'path': 'out'})\n"
        "@dp.append_flow(target='out')\ndef sent():\n    return 'SELECT * FROM STREAM good'\n"
    )
    shop.run()
    assert shop.rows("good") == [(2, 20)]
    assert [p.read_text() for p in (shop.folder / "out").rglob("*.csv")] == ["id,amount\n2,20\n"]
    with qanat.open(shop.folder) as project:
        assert len(project.query("SELECT * FROM good").arrow()) == 1


def test_what_is_no_list_of_folders(shop: Shop) -> None:
    shop.file("qanat.yml", "name: shop\nallowed_folders: {a: b}\n")
    with pytest.raises(ProblemsError) as raised:
        shop.validation()
    (problem,) = raised.value.problems
    assert problem.wanted == "a list of folders, such as [data]"


# -- secrets -----------------------------------------------------------------------------------


def test_secrets_are_in_no_message_and_not_in_the_ledger(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "hunter2")
    monkeypatch.setenv("SHOP_FOLDER", "vault-77-lower")
    shop.file(
        "qanat.yml",
        'name: shop\nconfiguration: {pw: "${SHOP_PASSWORD}", folder: "${SHOP_FOLDER}"}\n',
    )
    rule = "CONSTRAINT r EXPECT (CAST(amount AS TEXT) {} '${{pw}}') ON VIOLATION {}"
    shop.sql(
        f"{ORDERS}CREATE MATERIALIZED VIEW kept ({rule.format('=', 'QUARANTINE ROW')})"
        " AS SELECT * FROM orders;\n"
        f"CREATE MATERIALIZED VIEW failed ({rule.format('=', 'FAIL UPDATE')})"
        " AS SELECT * FROM orders;\n"
        "CREATE MATERIALIZED VIEW cast TBLPROPERTIES ('qanat.on_row_error' = 'fail') AS"
        " SELECT CAST('${pw}' AS INT) AS n FROM orders;\n"
        "CREATE MATERIALIZED VIEW gone AS SELECT * FROM read_files('${folder}/x.csv');\n"
    )
    said = [str(problem) for problem in shop.problems()]
    said += [str(error) for error in shop.failures().values()]
    for _ in range(2):  # the second time, what the files mean is remembered
        with qanat.open(shop.folder) as project:
            said += [str(project.history()), str(project.plan()), str(project.test())]
            said += [str(project.quarantine("kept").rows())]
    text = "\n".join(said)
    assert "${SHOP_PASSWORD}" in text
    assert "${SHOP_FOLDER}" in text
    assert "hunter2" not in text
    assert "vault-77-lower" not in text
    for path in (shop.folder / "storage").rglob("*"):
        assert not path.is_file() or b"hunter2" not in path.read_bytes(), path


def test_ordinary_words_are_shown(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAST", "15")
    monkeypatch.setenv("STAGE", "orders")
    shop.file("qanat.yml", 'name: shop\nconfiguration: {least: "${LEAST}", s: "${STAGE}"}\n')
    shop.sql(
        f"{ORDERS}CREATE MATERIALIZED VIEW v (CONSTRAINT r EXPECT (amount > ${{least}})"
        " ON VIOLATION FAIL UPDATE) AS SELECT * FROM ${s};\n"
    )
    assert shop.failures()["v"].wanted == "amount > 15"


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ("ledgr: postgresql://joe:hunter2@db/x", "ledgr: …"),
        ("storage_options: {secret_keyy: hunter2}", "storage_options: {secret_keyy: …"),
        ("retries: many", "retries: many"),
        ("retries: {password: hunter2, x: 1}", "retries: {password: …, x: 1}"),
    ],
)
def test_lines_of_a_spec_are_shown_without_secrets(shop: Shop, spec: str, shown: str) -> None:
    shop.file("qanat.yml", f"name: shop\n{spec}\n")
    with pytest.raises(QanatError) as raised:
        shop.validation()
    assert isinstance(raised.value, ProblemsError)
    text = "\n".join(describe(p, shop.folder) for p in raised.value.problems)
    assert f"2 | {shown}\n" in text
    assert "hunter2" not in text.partition("= got")[0]


# -- limits ------------------------------------------------------------------------------------


def test_aliases_that_multiply(shop: Shop) -> None:
    for first, each in (("[x, x]", "[{}]"), ("{x: 1, y: 2}", "{{<<: [{}]}}")):
        lines = ["name: shop", f"a0: &a0 {first}"]
        for number in range(1, 12):
            aliases = ", ".join([f"*a{number - 1}"] * 9)
            lines.append(f"a{number}: &a{number} {each.format(aliases)}")
        shop.file("qanat.yml", "\n".join([*lines, ""]))
        with pytest.raises(ProblemsError) as raised:
            shop.validation()
        assert "its aliases multiply each other" in str(raised.value.problems[0])


def test_brackets_without_end(shop: Shop) -> None:
    deep = 3000
    shop.file("qanat.yml", f"name: shop\nconfiguration: {'[' * deep}{']' * deep}\n")
    with pytest.raises(ProblemsError) as raised:
        shop.validation()
    assert isinstance(raised.value.problems[0], SpecError)
    shop.file("qanat.yml", "name: shop\n")
    nested = f"{'(' * deep}1{')' * deep}"
    for sql in (
        f"CREATE MATERIALIZED VIEW g AS SELECT {nested} AS x;",
        f"CREATE MATERIALIZED VIEW g AS SELECT {nested.replace('(', '[').replace(')', ']')} AS x;",
        f"CREATE MATERIALIZED VIEW g (CONSTRAINT a EXPECT ({nested} > 0)) AS SELECT 1 AS x;",
    ):
        shop.sql(sql)
        (problem,) = shop.problems()
        assert "nested too deeply" in problem
    shop.sql(
        f"CREATE MATERIALIZED VIEW g (x {'STRUCT(a ' * deep}INT{')' * deep}) AS SELECT 1 AS x;"
    )
    assert any(isinstance(p, TypeNameError) for p in shop.validation().problems)


def test_threads_have_a_limit(shop: Shop) -> None:
    shop.file("qanat.yml", "name: shop\nthreads: 100000000\n")
    with pytest.raises(ProblemsError) as raised:
        shop.validation()
    assert raised.value.problems[0].wanted == "a whole number from 1 to 1,024"


# -- whose files they are ------------------------------------------------------------------------


def test_files_have_the_mode_that_the_umask_leaves(shop: Shop) -> None:
    before = os.umask(0o027)
    try:
        shop.run()
    finally:
        os.umask(before)
    paths = (shop.folder / "storage" / "tables").rglob("*")
    modes = {(p.is_dir(), stat.S_IMODE(p.stat().st_mode)) for p in paths}
    assert modes == {(True, 0o750), (False, 0o640)}
