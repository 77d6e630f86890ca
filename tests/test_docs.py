"""What the pages say of the code is what the code says."""

import importlib.util
import pathlib

import pytest

DOCS = pathlib.Path(__file__).parent.parent / "docs"


def make_tables():
    spec = importlib.util.spec_from_file_location("make_tables", DOCS / "make_tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    return tables


def test_every_table_is_looked_at():
    assert {"recipes", "methods", "localization"} <= set(make_tables().TABLES)


@pytest.mark.parametrize("name", make_tables().TABLES)
def test_a_table_is_what_it_is_made_from(name):
    tables = make_tables()
    assert tables.TABLES[name][0].read_text(encoding="utf-8") == tables.page(name), "run: python docs/make_tables.py"
