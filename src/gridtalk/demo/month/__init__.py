"""A month of several villages in some minutes: every fault that a network and a village know.

The server's own code runs in this process on a clock that jumps from event to event, so that hours
of waiting (an hour until credit turns unconfirmed, a night until consumption is posted) cost
nothing and every moment is the same in each run. Texts go through Kannel's HTTP as bytes.
"""
