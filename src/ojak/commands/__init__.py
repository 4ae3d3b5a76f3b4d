"""The verbs of the command line, a file each: `run(args) -> exit code`."""
