"""The goals, one module a group that is measured together."""
