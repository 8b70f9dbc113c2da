"""Training in blocks: a scene is cut along its ground, trained part by part, and joined again."""
