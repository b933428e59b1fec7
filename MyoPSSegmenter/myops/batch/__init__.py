"""Whole cohorts: patients found, segmented by many processes, and one table and page of all."""
