#!/bin/sh
# Puts nova-image-shim into Keystone's catalog as a service of its own type, beside Nova's: for clients that
# are told which service type to use (`nova --service-type compute_legacy`), where no proxy stands in front of
# Nova. It may run again: what is there is kept, and the endpoint's address is set anew.
#
#   compute-legacy.sh REGION https://images.example:8774
#
# It needs the `openstack` command and an administrator's OS_* variables.
set -eu

region=$1
url=${2%/}/v2/%\(tenant_id\)s

openstack service show nova_legacy >/dev/null 2>&1 ||
    openstack service create --name nova_legacy --description "Nova's legacy image API" compute_legacy

endpoint=$(openstack endpoint list --service nova_legacy --interface public --region "$region" -f value -c ID)
if [ -n "$endpoint" ]; then
    openstack endpoint set --url "$url" "$endpoint"
else
    openstack endpoint create --region "$region" nova_legacy public "$url"
fi
