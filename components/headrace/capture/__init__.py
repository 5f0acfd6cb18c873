"""What a source database must be like so that its changes can be captured: looked at, said, mended."""

__all__: list[str] = []
