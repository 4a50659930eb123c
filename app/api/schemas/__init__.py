"""What comes in, validated by marshmallow."""
