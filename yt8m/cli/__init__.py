"""The command line: the only floor that knows absl and argparse. One file a command."""
