"""The columns of a table, of files or of a query, described: as a document, as text, as a page.

`document` has the shapes of its JSON object, `figures` says how numbers and bounds are written,
`text` lays them out for a terminal and for a notebook, `page` draws them.
`history` holds those beside one another that updates have kept.
"""
