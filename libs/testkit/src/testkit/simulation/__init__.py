"""Deterministic simulation: the real runtime on virtual time, chance from one seed.

Generic machinery only: a loop, a broker with faults, databases that survive a crash, processes that
are killed and started again. Which services run on it is told by whoever wires them.
"""
