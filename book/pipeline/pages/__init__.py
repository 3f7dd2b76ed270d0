"""Pages and pictures that are made from data at every build, so that they cannot be out of date."""
