"""Docstrings as Markdown takes them: what looks like a tag or a reference is none."""

import re

import griffe

PLAIN = {"<": "&lt;", "][": "]\\["}


class PlainText(griffe.Extension):
    """Escapes < and ][ outside of `code` in all docstrings."""

    def on_object(self, *, obj, **kwargs):
        if obj.docstring:
            obj.docstring.value = re.sub(r"`[^`]*`|<|\]\[", lambda part: PLAIN.get(part[0], part[0]), obj.docstring.value)
