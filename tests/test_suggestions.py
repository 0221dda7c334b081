"""Names that may have been meant."""

from mmvsa.suggestions import did_you_mean


def test_near_names() -> None:
    assert did_you_mean('vsa-s', ['vsa-b', 'resnet']) == '; did you mean vsa-b?'
    assert did_you_mean('vsa-s', ['resnet']) == ''


def test_names_of_a_mapping_and_what_is_shown_for_them() -> None:
    """Registries map names to classes."""
    known = {'Adam': object, 'SGD': object}
    assert did_you_mean('Adm', known) == '; did you mean Adam?'
    assert did_you_mean('Adm', known, str.lower) == '; did you mean adam?'
