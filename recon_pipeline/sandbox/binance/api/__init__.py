"""The HTTP face of a world: what may be asked, how it is refused, and the shapes of the answers."""
