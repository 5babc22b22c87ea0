"""A small demo agent whose behaviour is fitted to recordings, to see the product work (docs/demo.md)."""
