"""What is measured: each module is run in a process of its own and prints one line of JSON."""
