"""Results as documents and as text, for every face: command line, web page, notebooks.

`shape` says how a dataclass becomes a JSON object, `schema` makes JSON schemas from the same,
`version` has what all documents share, `documents` knows them all by name, `failure` writes
errors. Then one module for each result, with its shapes, its text and its HTML: `validation`,
`plan`, `update`, `checks`, `table`, `lineage`, `history`, `quarantine` and `doctor`. `html` has
the pieces that notebooks show, `drawing` the picture of a graph, `delimited` writes CSV.

`qanat.report.documents.document` and `schema` are what a program outside calls.
"""
