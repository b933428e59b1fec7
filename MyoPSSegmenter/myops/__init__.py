"""Myocardial scar and edema from bSSFP, LGE and T2 cardiac MR.

The way of the data, one module an arrow::

    files -> case -> cascade -> quantify -> output

Nothing heavy is imported here: `import myops` takes milliseconds, and torch is loaded only by what
needs a network.
"""

__version__ = "0.2.0"
