"""What phone and server share: the protocol, its proofs, and a phone's whole side of it.

Free of any framework: the standard library, `cryptography`, and httpx where requests are made. A product of
its own: `sync.phone.Phone` is what an app embeds, `sync/README.md` its manual.
"""
