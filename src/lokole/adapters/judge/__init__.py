"""Who says what is to be thought of a letter from outside."""
