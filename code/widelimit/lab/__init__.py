"""What networks do at finite width. Nothing here knows a theory."""
