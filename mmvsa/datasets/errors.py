"""What can be wrong with a dataset."""


class DatasetError(ValueError):
    """A file of a dataset is missing, damaged or does not fit its partners."""
