"""Series as users give them, one or several, and their labels; answers in the same form."""
