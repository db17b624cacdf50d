"""Records of our own making, which share no code with what they test."""
