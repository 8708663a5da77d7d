"""Every fault that the design speaks of, made on real servers and real processes, and counted.

``catalogue.py`` lists the cases, ``site.py`` is what one case works on, ``counting.py`` what is
counted afterwards, ``mutations.py`` the faults put into the code on purpose. ``scripts/faults``
runs them.
"""
