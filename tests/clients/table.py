"""The tested clients, their environment variables and their expected results."""

from typing import Any

from .clients import Client

REGION = "RegionOne"

V3 = {
    "OS_AUTH_URL": "{identity}/v3",
    "OS_USERNAME": "{user}",
    "OS_PASSWORD": "{password}",
    "OS_PROJECT_NAME": "{user}",
    "OS_USER_DOMAIN_NAME": "Default",
    "OS_PROJECT_DOMAIN_NAME": "Default",
    "OS_IDENTITY_API_VERSION": "3",
    "OS_REGION_NAME": REGION,
}
V2 = {
    "OS_AUTH_URL": "{identity}/v2.0",
    "OS_USERNAME": "{user}",
    "OS_PASSWORD": "{password}",
    "OS_TENANT_NAME": "{user}",
    "OS_REGION_NAME": REGION,
}
RACKSPACE = {
    "RACKSPACE_AUTH_URL": "{identity}/v2.0",
    "RACKSPACE_USERNAME": "{user}",
    "RACKSPACE_API_KEY": "{password}",
    "RACKSPACE_REGION": REGION,
}

_TIMES = ["created", "updated"]
_PLAIN = ["id", "name", "status", "progress", *_TIMES]
_FULL = [*_PLAIN, "minDisk", "minRam", "metadata"]
_BRIEF = ["id", "name", "links"]
_DONE: list[str] = []  # a step without further expectations

# The expected results of each step; see `judge.Judge`.
NOVA_COMMAND = {
    "list": ["id", "name", "status"],
    "filter": _DONE,
    "show": _FULL,
    "missing": "ERROR (CommandError): No image with a name or ID of '{unknown}' exists.",
    "metadata": _DONE,
    "delete": _DONE,
}
NOVA_COMMAND_OVER_GLANCE = {
    **NOVA_COMMAND,
    "show": ["id", "name", *_TIMES, "minDisk", "minRam", "metadata"],
    "missing": "ERROR (CommandError): No image found with ID {unknown}<br /><br />",
}
NOVACLIENT = {
    "list": [*_FULL, "links"],
    "brief": _BRIEF,
    "page": _DONE,
    "filter": _DONE,
    "show": [*_FULL, "links"],
    "missing": "NotFound 404: Image not found.",
    "bad marker": "BadRequest 400: No image found with ID {unknown}",
    "metadata": _DONE,
    "delete": _DONE,
}
NOVA_COMMAND_OF_2012 = NOVA_COMMAND | {
    "missing": "ERROR: No image with a name or ID of '{unknown}' exists."
}
VAPORIZE = {
    "list": [*_FULL, "links"],
    "brief": _BRIEF,
    "show": [*_FULL, "links"],
    "delete": _DONE,
}
PYRAX = {
    "list": [*_FULL, "links"],
    "show": [*_FULL, "links"],
    "missing": "NotFound 404: Image not found.",
    "metadata": _DONE,
    "delete": _DONE,
}
OPENSTACK_RUBY = {
    "list": _FULL,
    "filter": _DONE,
    "show": _FULL,
    "missing": "OpenStack::Exception::ItemNotFound: Image not found.",
    "metadata": _DONE,
    "delete": _DONE,
}
LIBCLOUD = {
    "list": _FULL,
    "filter": _DONE,
    "show": _FULL,
    "missing": "BaseHTTPError 404: 404 NOT FOUND Image not found.",
    "delete": _DONE,
}
OPENSTACKSDK = {
    "list": [*_FULL, "links"],
    "brief": _BRIEF,
    "page": _DONE,
    "filter": _DONE,
    "show": [*_FULL, "links"],
    "missing": "NotFoundException 404: Image not found.",
    "metadata": _DONE,
    "delete": _DONE,
}
PKGCLOUD = {
    "list": _PLAIN,
    "show": _PLAIN,
    "missing": '404: {"itemNotFound":{"code":404,"message":"Image not found."}}',
    "version": "v2.0",
    "metadata": _DONE,
    "delete": _DONE,
}
GOPHERCLOUD = {
    "list": _FULL,
    "page": _DONE,
    "filter": _DONE,
    "show": _FULL,
    "missing": "gophercloud.ErrDefault404 404: "
    '{"itemNotFound":{"code":404,"message":"Image not found."}}',
    "delete": _DONE,
}
GOOSE = {
    "list": [*_PLAIN, "minDisk", "minRam", "links"],
    "brief": _BRIEF,
    "show": [*_PLAIN, "minDisk", "minRam", "links"],
    "missing": "not found: true",
}
FOG = {
    "list": [*_FULL, "links"],
    "brief": _BRIEF,
    "filter": _DONE,
    "show": [*_FULL, "links"],
    "missing": "nil",
    "metadata": _DONE,
    "delete": _DONE,
}

_NOVA = "{python} {programs}/novaclient_cli.py {args} {piece}/bin/nova"
_PYTHON = "{piece}/bin/python {programs}"
_LIBCLOUD_V2 = f"{_PYTHON}/libcloud_images.py {{args}} 2.0_password"
_LIBCLOUD_V3 = f"{_PYTHON}/libcloud_images.py {{args}} 3.x_password"
_SDK = f"{_PYTHON}/openstacksdk_images.py {{args}}"
_PKGCLOUD = "node {programs}/pkgcloud.js {args} {piece}"
_GO = "{piece}/program {args}"
_RUBY = "ruby {programs}"


def _python(name: str, program: str, environ: dict[str, str], steps: dict[str, Any]) -> Client:
    """Return a Python client whose piece has the client's name."""
    return Client(name, "Python", name, program, environ, steps)


CLIENTS = (
    _python("novaclient-2.6.10", _NOVA, V2, NOVA_COMMAND_OF_2012),
    _python("novaclient-2.23.3", _NOVA, V2, NOVA_COMMAND),
    _python("novaclient-6.0.2", _NOVA, V3, NOVA_COMMAND_OVER_GLANCE),
    _python("novaclient-7.1.2", f"{_PYTHON}/novaclient_api.py {{args}}", V3, NOVACLIENT),
    _python("libcloud-0.20.1", _LIBCLOUD_V2, V2, LIBCLOUD),
    Client("libcloud-3.9.1", "Python", "modern", _LIBCLOUD_V3, V3, LIBCLOUD),
    Client("openstacksdk-4.22.0", "Python", "modern", _SDK, V3, OPENSTACKSDK),
    _python("pyrax-1.9.8", f"{_PYTHON}/pyrax_images.py {{args}}", RACKSPACE, PYRAX),
    _python("vaporize-0.3.2", f"{_PYTHON}/vaporize_images.py {{args}}", RACKSPACE, VAPORIZE),
    Client("pkgcloud-2.2.0", "Node", "npm", f"{_PKGCLOUD} v3", V3, PKGCLOUD),
    Client("pkgcloud-2.2.0 by v2.0", "Node", "npm", _PKGCLOUD, V2, PKGCLOUD),
    Client(
        "gophercloud-0.12",
        "Go",
        "gophercloud",
        _GO,
        V3 | {"OS_DOMAIN_NAME": "Default"},
        GOPHERCLOUD,
    ),
    Client("goose-1", "Go", "goose", _GO, V2, GOOSE),
    Client(
        "fog-openstack-1.0.8",
        "Ruby",
        "fog-openstack",
        f"{_RUBY}/fog_openstack.rb {{args}}",
        V3,
        FOG,
    ),
    Client(
        "fog-rackspace-0.1.6",
        "Ruby",
        "fog-rackspace",
        f"{_RUBY}/fog_rackspace.rb {{args}}",
        RACKSPACE,
        FOG | {"page": _DONE},
    ),
    Client(
        "openstack-2.0.1",
        "Ruby",
        "ruby-openstack",
        f"{_RUBY}/openstack_ruby.rb {{args}}",
        V2,
        OPENSTACK_RUBY,
    ),
    Client(
        "openclient-1.7.10",
        "Node",
        "openclient",
        "node {programs}/openclient.js {args} {piece}",
        V2,
        {
            "brief": _BRIEF,
            "show": [*_FULL, "links"],
            "missing": "404",
            "delete": _DONE,
        },
    ),
    Client("rex-1.14.1", "Perl", "rex", "perl {programs}/rex.pl {args}", V2, {"brief": _BRIEF}),
)

# The clients of `install.MORE_PIECES`.
MORE_CLIENTS = (
    _python(
        "novaclient-2.17.0",
        _NOVA,
        V2,
        NOVA_COMMAND_OF_2012,
    ),
    _python("novaclient-3.3.0", _NOVA, V3, NOVA_COMMAND),
    _python("libcloud-1.5.0", _LIBCLOUD_V3, V3, LIBCLOUD),
    _python("libcloud-2.8.3", _LIBCLOUD_V2, V2, LIBCLOUD),
    _python(
        "openstacksdk-0.17.2",
        _SDK,
        V3,
        OPENSTACKSDK
        | {
            "missing": "NotFoundException 404: "
            '{"itemNotFound":{"code":404,"message":"Image not found."}}'
        },
    ),
    _python(
        "openstacksdk-1.5.0",
        _SDK,
        V2,
        OPENSTACKSDK | {"missing": "ResourceNotFound 404: Image not found."},
    ),
    Client(
        "pkgcloud-0.9.6",
        "Node",
        "pkgcloud-0.9.6",
        _PKGCLOUD,
        V2,
        {step: wanted for step, wanted in PKGCLOUD.items() if step != "metadata"},
    ),
    Client("pkgcloud-1.7.0", "Node", "pkgcloud-1.7.0", f"{_PKGCLOUD} v3", V3, PKGCLOUD),
    Client(
        "openstack-wrapper-2.2.0",
        "Node",
        "openstack-wrapper",
        "node {programs}/openstack_wrapper.js {args} {piece}",
        V3,
        {"filter": _DONE, "metadata": _DONE},
    ),
)
