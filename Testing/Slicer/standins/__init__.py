"""Stand-ins for what only desktop Slicer has: Qt, CTK, qMRML widgets, scripted-module classes.

Written from Slicer's documentation, for tests and pictures. The scene behind them is real
(slicer-core), the `.ui` files are loaded by the real Qt (PySide6), and the panel's code runs
unchanged. What they cannot show: how PythonQt and CTK themselves behave, how Slicer finds the
module, and packaging.
"""
