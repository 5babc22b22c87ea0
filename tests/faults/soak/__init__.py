"""Writers, beats and workers on real servers while their processes are killed and the servers restarted at random.

`make soak`, or `python -m tests.faults.soak --disturbances N --seed S`. At the end every number in the snapshots must be
that of the ledger, which is worked out in plain Python from the events that the writers wrote down before they recorded
them. Read in this order:

- `events`    what the writers record
- `journal`   what a writer writes down before it sends a flush: that is what makes a kill at any moment accountable
- `writer`    an agent's process, with the product's recorder
- `ledger`    what the snapshots must say
- `nursery`   forks writers, beats and workers, which are the product's own
- `site`      the servers and processes of one run
- `disturbances`  what is done to them
- `course`    one run from the start to the verdict
"""
