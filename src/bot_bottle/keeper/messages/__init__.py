"""What launcher, command line and keeper say to each other: typed frames (egress/channel.py carries them)."""
