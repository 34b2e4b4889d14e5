"""Built-in executors: where work runs."""
