"""A package, so that none of that name among those installed is taken for it; monai-generative brings one."""
