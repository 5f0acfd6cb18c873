"""A stand-in for Pulumi's provider for AWS: :mod:`catalogue` says what is behind each type."""
