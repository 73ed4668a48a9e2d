"""Results of the public interface by one version of the code, for comparison with later ones."""
