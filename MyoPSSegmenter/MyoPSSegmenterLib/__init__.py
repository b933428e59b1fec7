"""The Slicer layer of MyoPS Segmenter: scene, logic and panels over the library `myops`."""
