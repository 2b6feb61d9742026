"""Files drawn at random, read by Qanat in every way and compared with other readers.

All files of a batch are read in company; some also alone, by the careful reader and in one pass.
All have to give the same rows as an independent reader of their `kind`: for CSV, in `delimited`,
Python's `csv`; for NDJSON, in `lined`, and JSON, in `nested`, its `json` (`trees`); for Parquet,
in `columnar`, PyArrow, and where types are declared the definition of what fits, in `fitting`.
`campaign` draws and compares, `run` does so as often as it is told; `test_files` is a sample.
"""
