"""Deterministic simulation: the real runtime on virtual time, chance from one seed.

Generic machinery only: a loop, a broker with faults, databases that survive a crash, processes that
are killed and started again. The user of the package decides which services run.
"""
