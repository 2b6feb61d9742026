"""Files drawn at random, read by Qanat in every way and compared with other readers.

Each file is read alone, in company of others, by the careful reader and in one pass; all have to
give the same rows as an independent reader of its `kind` (for CSV, in `delimited`, Python's
`csv`; for NDJSON, in `lined`, its `json`). `campaign` draws and compares, `run` does so as often
as it is told; `test_files` is a sample.
"""
