"""The settings by their names."""

from dataclasses import fields

from nova_image_shim.settings import Keystone, Settings


def setting_names() -> list[str]:
    """Return the name of every setting, in the order in which they are declared."""
    declared = [*fields(Settings), *fields(Keystone)]
    return [item.metadata["name"] for item in declared if item.metadata]
