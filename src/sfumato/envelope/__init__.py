"""Where a scene can be trusted: expected errors of any view, estimated from the training views."""
