"""How does a client's file become cases, without losing good rows or doubling any?

`running` takes a spooled file chunk by chunk; `loading` writes one chunk, set-based, in one transaction;
`merging` says what a row changes about what is stored; `tables` knows which table is which.
"""
