"""Values in Protobuf, decoded to Arrow a batch at a time; which of them are wrong, one by one.

ptars decodes batches; where one fails, Google's own parser tells which values are no messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qanat.descriptors import compiled, message_type, parser
from qanat.engines.duckdb.files.maps import has_key_twice
from qanat.errors import needing

with needing("Protobuf", "protobuf"):
    import pyarrow as pa
    from google.protobuf.message import DecodeError
    from ptars import HandlerPool, PtarsConfig

__all__ = ["ProtobufDecoder", "compiled"]

_CONFIG = PtarsConfig(timestamp_unit="us", time_unit="us", enum_repr="string")


class ProtobufDecoder:
    """Decodes messages of one type.

    Args:
        descriptors: a serialized `FileDescriptorSet`, with all that it imports.
        message: the full name of the type; empty if it is to be found at `indexes`, or there is
            only one.
        indexes: of the type in the last file, from the outside in.

    Raises:
        OptionError: these are no descriptors, or have no such type.
    """

    def __init__(
        self, descriptors: bytes, message: str = "", indexes: Sequence[int] | None = None
    ) -> None:
        found = message_type(descriptors, message, indexes)
        self._parse = parser(found)
        self._handler: Any = HandlerPool([found.file], _CONFIG).get_for_message(found)
        self.schema = self._handler.array_to_record_batch(pa.array([], pa.binary())).schema

    def decode(self, bodies: Any) -> tuple[Any, Sequence[int], Mapping[int, str]]:
        """The messages in an Arrow array of bytes.

        Returns:
            A table of those that are messages, their places in the array, and by place what is
            wrong with the others.
        """
        bodies = bodies.cast(pa.binary())
        try:
            return self._table(bodies), range(len(bodies)), {}
        except ValueError:
            places, wrong = [], {}
            for place, body in enumerate(bodies.to_pylist()):
                try:
                    self._parse(body)
                except DecodeError as error:
                    wrong[place] = f"not Protobuf of its schema: {error}"[:300]
                else:
                    places.append(place)
            good = bodies.take(pa.array(places, pa.int64()))
            return self._table(good), places, wrong

    def _table(self, bodies: Any) -> Any:
        batch = self._handler.array_to_record_batch(bodies)
        if any(map(has_key_twice, batch.columns)):
            # Written anew, a message has the last of them.
            anew = [self._parse(body).SerializeToString() for body in bodies.to_pylist()]
            batch = self._handler.array_to_record_batch(pa.array(anew, pa.binary()))
        return pa.Table.from_batches([batch])
