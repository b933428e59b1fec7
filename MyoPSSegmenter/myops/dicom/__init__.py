"""DICOM: which series are there, and each as one volume."""
