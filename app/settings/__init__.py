"""Every setting: where it is read, and which values it allows."""

from nova_image_shim.settings.fields import Problem, SettingsError
from nova_image_shim.settings.keystone import Keystone
from nova_image_shim.settings.settings import Settings

__all__ = ["Keystone", "Problem", "Settings", "SettingsError"]
