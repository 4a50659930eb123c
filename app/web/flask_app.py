"""A Flask application with every option set that guards it, whatever Flask's default is."""

from typing import Any

from flask import Flask


def create_flask(name: str, max_body_bytes: int, **options: Any) -> Flask:
    """Return an application without views; `options` are those of `Flask`."""
    app = Flask(name, **options)
    app.config.from_mapping(
        DEBUG=False,  # FLASK_DEBUG would set it
        TESTING=False,
        PROPAGATE_EXCEPTIONS=False,
        TRAP_HTTP_EXCEPTIONS=False,
        TRAP_BAD_REQUEST_ERRORS=False,
        MAX_CONTENT_LENGTH=max_body_bytes,
        MAX_FORM_MEMORY_SIZE=0,  # no call accepts a form
        MAX_FORM_PARTS=0,
        SECRET_KEY=None,  # sessions are not used
        TRUSTED_HOSTS=None,  # `Host` is checked here, and names with underscores are allowed
        PROVIDE_AUTOMATIC_OPTIONS=False,
    )
    return app
