"""How do the bytes of one evidence file arrive over a network that keeps breaking?

The use cases behind tus (protocol.md "Uploads"): `creating` (create, resume, set_length, terminate, expire),
`receiving` (bytes into segments), `finishing` (digest verified, evidence recorded). No transaction and no
connection is held while a body is read or the store works.
"""
