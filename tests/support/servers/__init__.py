"""Real servers on loopback, from packages: one file a server, one way to start it.

``machine.py`` is what they ask of the machine (packages, ports, users), ``server.py`` what
they have in common, ``catalogue.py`` their list. ``scripts/services`` and the fixtures
both come here. Linux only: the servers are Debian's, PyPI's and Maven's packages.
"""
