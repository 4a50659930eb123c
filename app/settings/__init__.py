"""Every setting: where it is read, and what it may be."""

from nova_image_shim.settings.fields import SettingsError
from nova_image_shim.settings.keystone import Keystone
from nova_image_shim.settings.settings import Settings, is_loopback, setting_names

__all__ = ["Keystone", "Settings", "SettingsError", "is_loopback", "setting_names"]
