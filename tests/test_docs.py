"""What the pages say of the code is what the code says."""

import importlib.util
import pathlib

DOCS = pathlib.Path(__file__).parent.parent / "docs"


def test_the_recipe_table_is_the_code():
    spec = importlib.util.spec_from_file_location("make_tables", DOCS / "make_tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    assert tables.PAGE.read_text(encoding="utf-8") == tables.page(), "run: python docs/make_tables.py"
