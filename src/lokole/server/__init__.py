"""The server: mail from and to the world, packages for the boxes, work behind."""
