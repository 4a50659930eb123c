"""Create, upload, download, change, share and delete images with openstacksdk's image proxy."""

import hashlib
import json
import os
import sys

import openstack
from openstack import exceptions


def main():
    image = openstack.connect().image
    formats = {"disk_format": "raw", "container_format": "bare"}
    found = {}
    path = sys.argv[1]
    created = image.create_image("by sdk", filename=path, wait=True, colour="red", **formats)
    shown = image.get_image(created.id)
    with open(path, "rb") as file:
        data = file.read()
    found["created"] = [shown.status, shown.size, shown.checksum, shown.properties.get("colour")]
    found["downloaded"] = image.download_image(shown).content == data
    with open(sys.argv[2], "wb") as file:
        image.download_image(shown, stream=False, output=file)
    with open(sys.argv[2], "rb") as file:
        found["saved"] = hashlib.md5(file.read()).hexdigest() == shown.checksum
    image.add_tag(shown, "blue")
    image.add_tag(shown, "green")
    image.remove_tag(shown, "blue")
    shown = image.get_image(created.id)  # it changes only what it knows to be different
    image.update_image(shown, name="changed", min_ram=7, is_protected=True, colour="green")
    shown = image.get_image(created.id)
    found["changed"] = [shown.name, shown.min_ram, shown.is_protected, shown.tags]
    try:
        image.delete_image(shown)
    except exceptions.HttpException as error:
        found["protected"] = error.status_code
    image.add_member(shown, member_id="alt")
    found["members"] = [[member.member_id, member.status] for member in image.members(shown)]
    image.remove_member("alt", image=shown)
    image.deactivate_image(shown)
    found["deactivated"] = image.get_image(created.id).status
    image.reactivate_image(shown)
    found["reactivated"] = image.get_image(created.id).status
    image.update_image(shown, is_protected=False)
    queued = image.create_image("queued", **formats)
    image.upload_image(**formats, name="uploaded", data=b"12345")
    found["listed"] = sorted(
        each.name for each in image.images(owner=os.environ["OS_PROJECT_NAME"])
    )
    found["found"] = image.find_image("queued").id == queued.id
    image.delete_image(queued)
    found["deleted"] = image.find_image("queued") is None
    print(json.dumps(found))


main()
