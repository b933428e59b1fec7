"""One phantom patient from images to grams, as a page."""
