"""The services that come with the server; further ones come as packages (``docs/bots.md``)."""
