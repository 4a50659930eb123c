"""Bodies of a login, validated by marshmallow; unknown keys are ignored."""

from functools import cache
from typing import Any

import orjson
from flask import request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validates_schema

from nova_image_shim.adapters.identity_port import (
    ACCESS_KEY,
    API_KEY,
    PASSWORD,
    TOKEN,
    Login,
    Named,
)
from nova_image_shim.web.errors import HTTPError, first_error


class Lenient(Schema):
    """An object of which only some keys are read."""

    class Meta:
        """Ignore unknown keys, as Keystone does."""

        unknown = EXCLUDE


def one_of(names: str, message: str) -> Any:
    """Return a validator that requires one of these fields."""

    @validates_schema
    def require(_schema: Schema, data: dict[str, Any], **_kwargs: object) -> None:
        if not data.keys() & set(names.split()):
            raise ValidationError(message)

    return require


class TokenId(Lenient):
    """A token as a credential."""

    id = fields.String(required=True)


class _PasswordV2(Lenient):
    username = fields.String()
    user_id = fields.String(data_key="userId")
    password = fields.String(required=True)
    require_one = one_of("username user_id", "username or userId must be present.")


class _ApiKeyV2(Lenient):
    username = fields.String(required=True)
    secret = fields.String(required=True, data_key="apiKey")


class _AccessKeyV2(Lenient):
    username = fields.String(required=True, data_key="accessKey")
    secret = fields.String(required=True, data_key="secretKey")


class AuthV2(Lenient):
    """The `auth` of `POST /v2.0/tokens`."""

    password = fields.Nested(_PasswordV2, data_key="passwordCredentials")
    token = fields.Nested(TokenId)
    api_key = fields.Nested(_ApiKeyV2, data_key="RAX-KSKEY:apiKeyCredentials")
    access_key = fields.Nested(_AccessKeyV2, data_key="apiAccessKeyCredentials")
    tenant_id = fields.String(data_key="tenantId", allow_none=True)
    tenant_name = fields.String(data_key="tenantName", allow_none=True)
    require_one = one_of(
        "password token api_key access_key",
        "one of passwordCredentials, token, RAX-KSKEY:apiKeyCredentials and "
        "apiAccessKeyCredentials must be present.",
    )


def to_login(auth: dict[str, Any]) -> Login:
    """Return the login of a body that `AuthV2` has loaded; a name counts more than an id."""
    project = _named(auth.get("tenant_id"), auth.get("tenant_name"))
    if asked := auth.get("token"):
        return Login(TOKEN, asked["id"], project=project)
    if asked := auth.get("password"):
        user = _named(asked.get("user_id"), asked.get("username"))
        return Login(PASSWORD, asked["password"], user, project)
    asked = auth.get("api_key") or auth["access_key"]
    method = API_KEY if "api_key" in auth else ACCESS_KEY
    return Login(method, asked["secret"], Named(name=asked["username"]), project)


def _named(id_: str | None, name: str | None) -> Named | None:
    if name:
        return Named(name=name)
    return Named(id=id_) if id_ else None


@cache
def _body(schema: type[Schema]) -> Schema:
    return Lenient.from_dict({"auth": fields.Nested(schema, required=True)})()


def load_auth(schema: type[Schema]) -> dict[str, Any]:
    """Return the `auth` of the request's body.

    Raises:
        HTTPError: 400; the text names the invalid field and shows no value.
    """
    try:
        auth: dict[str, Any] = _body(schema).load(orjson.loads(request.get_data()))["auth"]
    except orjson.JSONDecodeError as error:
        raise HTTPError(400, f"The body is not valid JSON: {error}") from error
    except ValidationError as error:
        path, message = first_error(error)
        where = "/".join(map(str, path)) or "the body"
        raise HTTPError(400, f"Invalid input for field '{where}': {message}") from error
    return auth
