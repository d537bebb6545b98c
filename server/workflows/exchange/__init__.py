"""How do a phone's records reach the office, and the office's changes the phone?

`inbox` stores exact bytes first and receipts them; `projections` then turn them into visits, accounts and
evidence; `pulling` hands out the change feed. `anchors` are the server times that phones build on.
"""
