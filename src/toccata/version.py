"""The release that this source is: written into every file that toccata makes."""

__version__ = "0.1.0"
