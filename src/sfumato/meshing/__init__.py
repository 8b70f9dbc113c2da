"""Triangle meshes out of trained scenes: depth of views, fusion, surface, colours and files."""
