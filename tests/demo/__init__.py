"""The demo: 1,000 real service requests through a tree of real daemons."""
