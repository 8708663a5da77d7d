"""How fast it is and how much memory it takes, on real servers and real processes.

``catalogue.py`` lists the benchmarks, one file each; ``site.py`` is what they work on,
``watching.py`` how a process is watched from outside, ``figures.py`` what is made of the values.
``scripts/bench`` runs them. Speed is measured here, never asserted.
"""
