"""Click to correct: prompts refine a segmentation, slice by slice."""
