"""Run real Keystone, Glance and memcached on loopback: `install.py` once, then `RealCloud`."""
