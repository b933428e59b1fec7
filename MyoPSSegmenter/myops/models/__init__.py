"""The four networks of the cascade, one short file each; `build` holds their literal numbers."""
