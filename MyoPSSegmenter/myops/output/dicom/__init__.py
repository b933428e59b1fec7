"""A patient's results as DICOM objects: a segmentation, and a report of its measurements."""
