"""The family and version of a client, by its User-Agent."""

import pytest

from nova_image_shim.observability.client_families import FAMILIES, client_of

REQUESTS = "python-requests/2.28.1 CPython/3.8.10"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

AGENTS = {
    "python-novaclient": "novaclient",
    f"python-novaclient keystoneauth1/3.4.0 {REQUESTS}": "novaclient",
    f"nova python-novaclient/17.7.0 keystoneauth1/5.0.0 {REQUESTS}": "novaclient/17.7.0",
    f"openstackclient/5.2 keystoneauth1/4.0.0 {REQUESTS}": "openstackclient/5.2",
    "libcloud/3.8.0 (OpenStack) ": "libcloud/3.8.0",
    "libcloud/0.20.1 (OpenStack) (my-app)": "libcloud/0.20.1",
    "fog/1.18.0": "fog/1.18.0",
    "fog-core/2.1.0": "fog/2.1.0",
    "fog-rackspace/0.1.6": "fog/0.1.6",
    "nodejs-pkgcloud/1.2.0-alpha.0": "pkgcloud/1.2.0-alpha.0",
    "my-app nodejs-pkgcloud/2.2.0": "pkgcloud/2.2.0",
    "gophercloud/2.0.0": "gophercloud/2.0.0",
    "HashiCorp Terraform/1.5 (+https://www.terraform.io) gophercloud/v1.14.1": "gophercloud/1.14.1",
    "goose (0.1.3)": "goose/0.1.3",
    "jclouds/2.5.0 java/1.8.0_292": "jclouds/2.5.0",
    "OpenStack4j / OpenStack Client": "openstack4j",
    "php-opencloud/1.12.1 Guzzle/3.9.3 curl/7.35.0 PHP/5.5.9": "php-opencloud/1.12.1",
    "OpenCloud/1.16.0 cURL/7.88.1 PHP/7.4": "php-opencloud/1.16.0",
    "pyrax/1.9.8": "pyrax/1.9.8",
    f"shade/1.30.0 keystoneauth1/3.4.0 {REQUESTS}": "shade/1.30.0",
    f"openstacksdk/0.101.0 keystoneauth1/5.0.0 {REQUESTS}": "openstacksdk/0.101.0",
    f"terminal keystoneauth1/5.0.0 {REQUESTS}": "keystoneauth/5.0.0",
    "python-keystoneclient": "keystoneauth",
    "curl/7.88.1": "curl/7.88.1",
    "Wget/1.21.3": "wget/1.21.3",
    "python-requests/2.32.5": "python/2.32.5",
    "Python-urllib/2.7": "python/2.7",
    "Go-http-client/1.1": "go/1.1",
    "excon/0.111.0": "ruby/0.111.0",
    "Ruby": "ruby",
    "Java/1.8.0_292": "java/1.8.0_292",
    BROWSER: "browser/5.0",
    "mongoose/1.0": "other",
    "fogbugz/3": "other",
    "recurly/2": "other",
    "my-script": "other",
    "": "none",
    "  ": "none",
    "x" * 300 + " curl/7": "other",
    "curl/7" + "1" * 100: "curl/7" + "1" * 31,
    "curl/٣.1": "curl",
}


@pytest.mark.parametrize(("agent", "client"), AGENTS.items())
def test_a_user_agent_names_a_client(agent: str, client: str) -> None:
    found = client_of(agent)
    assert client == str(found)
    assert found.family in FAMILIES


def test_every_family_has_an_agent() -> None:
    assert set(FAMILIES) == {client_of(agent).family for agent in AGENTS}
