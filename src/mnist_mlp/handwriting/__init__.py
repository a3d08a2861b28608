"""A person's own image, made into what MNIST's digits look like."""
