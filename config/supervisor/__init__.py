"""Runs the parts of the product on one machine: what `make up` is made of."""
