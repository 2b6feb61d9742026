"""Files: CSV, JSON, Parquet and ORC, compressed or not, in folders and object stores.

Read in this order: `options` (what an author may say), `format` (what a name says), `glob`
(which names are meant), `place` (what a folder and a bucket have in common), `folder` and
`bucket` (the two places), `columns` (a declared schema), `copies` and `orc` (files that no
engine reads as they are), `sample` (the heads of files), then `source` and `sink`, which put
these together.
"""

from qanat.connectors.files.sink import FilesSink
from qanat.connectors.files.source import FilesSource

__all__ = ["FilesSink", "FilesSource"]
