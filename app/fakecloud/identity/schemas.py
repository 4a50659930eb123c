"""Bodies of identity v3, validated by marshmallow; unknown keys are ignored."""

from typing import Any

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import Length

from nova_image_shim.identity_v2.schemas import Lenient, TokenId, one_of


class _Named(Lenient):
    id = fields.String()
    name = fields.String()
    require_one = one_of("id name", "id or name must be present.")


class _InDomain(_Named):
    domain = fields.Nested(_Named)

    @validates_schema
    def _require_domain(self, data: dict[str, Any], **_kwargs: object) -> None:
        if "name" in data and not data.keys() & {"id", "domain"}:
            raise ValidationError("Missing data for required field.", "domain")


class _User(_InDomain):
    password = fields.String(required=True)


class _Credential(_Named):
    secret = fields.String(required=True)
    user = fields.Nested(_InDomain)

    @validates_schema
    def _require_user(self, data: dict[str, Any], **_kwargs: object) -> None:
        if "name" in data and not data.keys() & {"id", "user"}:
            raise ValidationError("Missing data for required field.", "user")


class _Identity(Lenient):
    methods = fields.List(fields.String(), required=True, validate=Length(min=1))
    password = fields.Nested(Lenient.from_dict({"user": fields.Nested(_User, required=True)}))
    token = fields.Nested(TokenId)
    application_credential = fields.Nested(_Credential)

    @validates_schema
    def _require_methods(self, data: dict[str, Any], **_kwargs: object) -> None:
        for method in self.fields.keys() & set(data.get("methods", ())):
            if method not in data:
                raise ValidationError("Missing data for required field.", method)


class _Scope(Lenient):
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


class AuthV3(Lenient):
    """The `auth` of `POST /v3/auth/tokens`."""

    identity = fields.Nested(_Identity, required=True)
    scope = _ScopeField(_Scope, allow_none=True)
