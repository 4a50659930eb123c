"""Bodies of the embedded identity, validated by marshmallow; unknown keys are ignored."""

from typing import Any

import orjson
from flask import request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validates_schema
from marshmallow.validate import Length

from nova_image_shim.fakecloud.items import first_error
from nova_image_shim.web.errors import HTTPError


class _Lenient(Schema):
    class Meta:
        """Ignore unknown keys, as Keystone does."""

        unknown = EXCLUDE


def _one_of(names: str, message: str) -> Any:
    """Return a validator that requires one of these fields."""

    @validates_schema
    def require(_schema: Schema, data: dict[str, Any], **_kwargs: object) -> None:
        if not data.keys() & set(names.split()):
            raise ValidationError(message)

    return require


class _Named(_Lenient):
    id = fields.String()
    name = fields.String()
    require_one = _one_of("id name", "id or name must be present.")


class _InDomain(_Named):
    domain = fields.Nested(_Named)

    @validates_schema
    def _require_domain(self, data: dict[str, Any], **_kwargs: object) -> None:
        if "name" in data and not data.keys() & {"id", "domain"}:
            raise ValidationError("Missing data for required field.", "domain")


class _User(_InDomain):
    password = fields.String(required=True)


class _TokenId(_Lenient):
    id = fields.String(required=True)


class _Credential(_Named):
    secret = fields.String(required=True)
    user = fields.Nested(_InDomain)

    @validates_schema
    def _require_user(self, data: dict[str, Any], **_kwargs: object) -> None:
        if "name" in data and not data.keys() & {"id", "user"}:
            raise ValidationError("Missing data for required field.", "user")


class _Identity(_Lenient):
    methods = fields.List(fields.String(), required=True, validate=Length(min=1))
    password = fields.Nested(_Lenient.from_dict({"user": fields.Nested(_User, required=True)}))
    token = fields.Nested(_TokenId)
    application_credential = fields.Nested(_Credential)

    @validates_schema
    def _require_methods(self, data: dict[str, Any], **_kwargs: object) -> None:
        for method in self.fields.keys() & set(data.get("methods", ())):
            if method not in data:
                raise ValidationError("Missing data for required field.", method)


class _Scope(_Lenient):
    """If all are absent the token is unscoped: `{"unscoped": {}}` of old keystoneauth."""

    project = fields.Nested(_InDomain)
    domain = fields.Nested(_Named)
    system = fields.Dict()

    @validates_schema
    def _require_one(self, data: dict[str, Any], **_kwargs: object) -> None:
        if len(data) > 1:
            raise ValidationError("Only one of project, domain and system may be present.")


class _ScopeField(fields.Nested):
    """A scope, or the word `unscoped`."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return {} if value == "unscoped" else super()._deserialize(value, *args, **kwargs)


class AuthV3(_Lenient):
    """The `auth` of `POST /v3/auth/tokens`."""

    identity = fields.Nested(_Identity, required=True)
    scope = _ScopeField(_Scope, allow_none=True)


class _PasswordV2(_Lenient):
    username = fields.String()
    user_id = fields.String(data_key="userId")
    password = fields.String(required=True)
    require_one = _one_of("username user_id", "username or userId must be present.")


class _ApiKeyV2(_Lenient):
    username = fields.String(required=True)
    secret = fields.String(required=True, data_key="apiKey")


class _AccessKeyV2(_Lenient):
    username = fields.String(required=True, data_key="accessKey")
    secret = fields.String(required=True, data_key="secretKey")


class AuthV2(_Lenient):
    """The `auth` of `POST /v2.0/tokens`."""

    password = fields.Nested(_PasswordV2, data_key="passwordCredentials")
    token = fields.Nested(_TokenId)
    api_key = fields.Nested(_ApiKeyV2, data_key="RAX-KSKEY:apiKeyCredentials")
    access_key = fields.Nested(_AccessKeyV2, data_key="apiAccessKeyCredentials")
    tenant_id = fields.String(data_key="tenantId", allow_none=True)
    tenant_name = fields.String(data_key="tenantName", allow_none=True)
    require_one = _one_of(
        "password token api_key access_key",
        "one of passwordCredentials, token, RAX-KSKEY:apiKeyCredentials and "
        "apiAccessKeyCredentials must be present.",
    )


def load_auth(schema: type[Schema]) -> dict[str, Any]:
    """Return the `auth` of the request's body.

    Raises:
        HTTPError: 400; the text names the invalid field and shows no value.
    """
    try:
        body = _Lenient.from_dict({"auth": fields.Nested(schema, required=True)})()
        auth: dict[str, Any] = body.load(orjson.loads(request.get_data()))["auth"]
    except orjson.JSONDecodeError as error:
        raise HTTPError(400, f"The body is not valid JSON: {error}") from error
    except ValidationError as error:
        path, message = first_error(error)
        where = "/".join(map(str, path)) or "the body"
        raise HTTPError(400, f"Invalid input for field '{where}': {message}") from error
    return auth
