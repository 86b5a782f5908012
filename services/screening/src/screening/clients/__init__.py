"""The lists, and screenings by them."""

from screening.clients.folder import ListFolder, ListsError
from screening.clients.lists import Current, Lists
from screening.clients.screenings import Subject, screen

__all__ = ["Current", "ListFolder", "Lists", "ListsError", "Subject", "screen"]
