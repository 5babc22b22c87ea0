"""From the decision to the delivered message."""
