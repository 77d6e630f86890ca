"""A batch's rows by shard: what many rows need is done once a shard, or once a batch."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Part:
    """The rows of a batch that are of one shard: which of those in order they are, and the shard's table (readers/tables.py)."""

    shard: int
    slice: slice
    table: object


def parts_of(rows, tables):
    """(int64 [B], the places of the rows such that those of a shard follow one another; list of the Part of each shard).

    Args:
        rows: references int64 [B, 3].
        tables: tables.Tables.
    """
    order = np.argsort(rows[:, 0], kind="stable")
    shards, begins = np.unique(rows[order, 0], return_index=True)
    ends = [*begins[1:].tolist(), len(rows)]
    return order, [Part(shard, slice(*ends), tables[shard]) for shard, *ends in zip(shards.tolist(), begins.tolist(), ends)]


def elements_of(order, parts, lists, ends, *names):
    """(places in the batch int64 [n], the elements [n] of each array) of lists in the arrays of the shards' tables.

    Args:
        order, parts: as parts_of gives them.
        lists: int64 [B], in order, the number of each row's list in its shard's table.
        ends: name of the table's array that says where lists end.
        names: of the arrays that hold their elements.
    """
    first, last = np.empty(len(lists), np.int64), np.empty(len(lists), np.int64)
    for part in parts:
        numbers, of_table = lists[part.slice], getattr(part.table, ends)
        first[part.slice], last[part.slice] = of_table[numbers], of_table[numbers + 1]
    stops = np.cumsum(last - first)
    of_rows = np.repeat(np.arange(len(lists)), last - first)
    at = np.arange(len(of_rows)) + (last - stops)[of_rows]
    gathered, begin = [[] for _ in names], 0
    for part in parts:
        end = stops[part.slice.stop - 1]
        for name, values in zip(names, gathered):
            values.append(getattr(part.table, name)[at[begin:end]])
        begin = end
    return order[of_rows], *(np.concatenate(values or [np.zeros(0, int)]) for values in gathered)
