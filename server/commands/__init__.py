"""The sub-commands of `fieldvisit`: read the environment, call one thing, say what came of it."""
