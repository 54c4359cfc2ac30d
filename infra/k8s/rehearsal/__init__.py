"""The parts of `infra/k8s/rehearse`."""
