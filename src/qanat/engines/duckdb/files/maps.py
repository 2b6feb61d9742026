"""Maps in which a key comes twice: Avro and Protobuf have such, DuckDB fails at them."""

from __future__ import annotations

from typing import Any

from qanat.errors import needing

with needing("messages in Avro and Protobuf", "arrow"):
    import pyarrow as pa
    import pyarrow.compute as pc


def has_key_twice(array: Any) -> bool:
    """True if a map in an Arrow array, at any depth, has a key twice.

    Args:
        array: an Arrow array without an offset.

    >>> has_key_twice(pa.array([[("a", 1)], [("a", 2)]], pa.map_(pa.string(), pa.int32())))
    False
    >>> has_key_twice(pa.array([[("a", 1), ("a", 2)]], pa.map_(pa.string(), pa.int32())))
    True
    """
    if pa.types.is_map(array.type):
        keys, items = array.keys, array.items
        entries = pa.ListArray.from_arrays(array.offsets, keys)
        pairs = pa.table({"of": pc.list_parent_indices(entries), "key": pc.list_flatten(entries)})
        return len(pairs.group_by(["of", "key"]).aggregate([])) < len(pairs) or has_key_twice(
            items
        )
    if pa.types.is_struct(array.type):
        return any(has_key_twice(part) for part in array.flatten())
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        return has_key_twice(array.values)
    return False
