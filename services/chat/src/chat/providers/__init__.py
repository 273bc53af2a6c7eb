"""Adapters to the outside: the payment provider, the mirror, open sockets, the ticker's alarm."""
