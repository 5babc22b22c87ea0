"""The page that ops look at."""
