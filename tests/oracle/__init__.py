"""What the product must answer, worked out from a recording's rows in plain Python.

Nothing here imports the product: the definitions are those of the public documentation, spelled a second time and in the
slowest, plainest way. Minutes are whole minutes from the start of the recording.
"""
