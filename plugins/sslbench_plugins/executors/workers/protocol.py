"""What a pool and its workers say to each other: lines of work in, lines of events out, and a few lines more.

Work comes on the worker's stdin, events leave on what was its stdout. What is printed goes another way, by stderr."""

BEGIN = "begin"
"""instead of an event: the worker has taken the work"""
LEAVING = "leaving"
"""instead of an event: after this work the worker takes no other"""
END_OF_PRINTED = "\x1eend of work"
"""at the end of a printed line: nothing that this work printed comes after it"""
