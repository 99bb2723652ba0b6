"""The web pages: the box and, on the server, the roaming person in town, with the same code."""
