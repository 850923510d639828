"""The commands of the command line, each imported as it is called."""
