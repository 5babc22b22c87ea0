"""Context managers and decorators around what an agent does: they time it, read what came back, and record it."""
